"""Mutation tests of losses, metrics and thresholds: of how many small changes do the tests notice?

pip install -e .[test,mutation]
python experiments/mutation.py --output experiments/results/mutation.json

mutmut makes the mutants: it changes operators, numbers, strings, arguments, keywords, assignments
and conditions, each alone. It runs the tests that reach a mutant in a fork of a process that has
imported JAX and the tests already, and stops at the first that fails. What stands outside functions
(constants, the lambdas of registries) and what is decorated (`_support`) it leaves alone; the tests
hold these against values by hand.

It takes about an hour of one core, in a copy of the repository. `--workdir` keeps the copy: a
second call then goes on where the first was stopped, and tries its survivors again with the tests
of now. The exit code is 1 where a part falls below `LEAST`, or where a survivor has no `why` in the
output file. These are written by hand, and a later run keeps them.
"""

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LEAST = 0.9
PARTS = {
    "losses": "semad/losses/",
    "metrics": "semad/metrics/",
    "thresholds": "semad/scoring/thresholds.py",
}
TESTS = ("tests/losses", "tests/metrics", "tests/scoring/test_thresholds.py")
SLOW = "tests/metrics/test_statistics.py::test_false_alarms_are_as_rare_as_promised"
"""Draws for half a minute, and would do so for nearly every mutant of the statistics."""

PLUGINS_OFF = ("xdist", "cacheprovider", "unraisableexception", "hypothesispytest")
"""The third collects garbage five times after each run: most of the time of most mutants."""

CAUGHT, NOT_TRIED = ("killed", "timeout"), "not checked"


class Survivor(NamedTuple):
    """A mutant that no test notices.

    Attributes:
      line: of the module.
      function: its name, `Class.method` of a method.
      was: the line.
      became: what the mutant has instead.
      why: in a few words, by hand; empty as long as nobody has looked.
    """

    line: int
    function: str
    was: str
    became: str
    why: str = ""


def prepare(folder: Path) -> None:
    """Copies what mutmut needs, with its settings in the copy's pyproject.toml."""
    for name in ("semad", "tests", "mutants/tests"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("semad", "tests"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)  # of earlier tests
    mutated = [path + ("*" if path.endswith("/") else "") for path in PARTS.values()]
    options = [f"-pno:{plugin}" for plugin in PLUGINS_OFF]
    options += ["--tb=no", "--no-summary", f"--deselect={SLOW}"]
    settings = {
        "source_paths": ["semad"],
        "only_mutate": mutated,
        "pytest_add_cli_args_test_selection": list(TESTS),
        "pytest_add_cli_args": options,
        "process_isolation": "forkserver",  # JAX has threads: no fork of a process that has used it
        "timeout_multiplier": 5.0,
        "timeout_constant": 10.0,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    text = (ROOT / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text("\n".join([text, "[tool.mutmut]", *lines, ""]))


def run(folder: Path, processes: int) -> None:
    """Tries every mutant that has not been tried, and those that survived an earlier run."""
    tried = statuses(folder) if (folder / "mutants").exists() else {}
    missed = [mutant for mutant, status in tried.items() if status not in (*CAUGHT, NOT_TRIED)]
    command = ("run", "--max-children", str(processes))
    mutmut(folder, *command)
    if missed:
        mutmut(folder, *command, *missed)


def mutmut(folder: Path, *arguments: str) -> str:
    """The output of mutmut in the copy."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ).stdout


def statuses(folder: Path) -> dict[str, str]:
    """Mutant -> "killed", "timeout", "survived", "no tests" and the like."""
    lines = mutmut(folder, "results", "--all", "true").splitlines()
    pairs = (line.strip().rpartition(": ") for line in lines if "__mutmut_" in line)
    return {name: status for name, _, status in pairs}


def located(mutant: str) -> tuple[Path, str]:
    """The file of a mutant, and its function: `semad.a.x_f__mutmut_1` -> semad/a.py and f."""
    module, _, tail = mutant.partition("__mutmut_")[0].rpartition(".")
    # mutmut writes x_function, and xǁClassǁmethod.
    function = ".".join(tail.split("ǁ")[1:]) if "ǁ" in tail else tail.removeprefix("x_")
    return Path(*module.split(".")).with_suffix(".py"), function


def first_line(source: str, function: str) -> int:
    """Where a function of a module starts, `Class.method` or `function`."""
    nodes: list[ast.stmt] = ast.parse(source).body
    for name in function.split("."):
        node = next(node for node in nodes if getattr(node, "name", None) == name)
        assert isinstance(node, ast.ClassDef | ast.FunctionDef)
        nodes = node.body
    return node.lineno


def survivor(difference: str, source: str, function: str) -> Survivor:
    """What `mutmut show` prints of a mutant, with the line's number in the module."""
    hunk = difference[difference.index("@@ ") :].splitlines()
    start = int(hunk[0].split()[1].lstrip("-").partition(",")[0])
    removed = next(number for number, line in enumerate(hunk[1:]) if line.startswith("-"))
    was, became = (
        " ".join(line[1:].strip() for line in hunk[1:] if line.startswith(sign)) for sign in "-+"
    )
    return Survivor(first_line(source, function) + start - 1 + removed, function, was, became)


def collect(folder: Path, whys: dict[tuple[str, str, str], str]) -> dict[str, Any]:
    """Counts per module, and its survivors with what was written of them before.

    Args:
      folder: the copy, after a run.
      whys: (function, was, became) -> why, of an earlier result.
    """
    modules: dict[str, dict[str, Any]] = {}
    for mutant, status in statuses(folder).items():
        path, function = located(mutant)
        module = modules.setdefault(path.as_posix(), {"counts": Counter(), "survivors": []})
        module["counts"]["mutants"] += 1
        module["counts"][status] += 1
        if status not in CAUGHT:
            source = (folder / path).read_text()
            row = survivor(mutmut(folder, "show", mutant), source, function)
            module["survivors"].append(row._replace(why=whys.get(row[1:4], ""))._asdict())
    return dict(sorted(modules.items()))


def share(modules: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Mutants of a part and the share that is caught: killed, or caught in an endless loop."""
    counts: Counter[str] = sum(
        (module["counts"] for path, module in modules.items() if path.startswith(prefix)),
        Counter(),
    )
    caught = sum(counts[status] for status in CAUGHT) / counts["mutants"]
    return dict(counts) | {"caught": round(caught, 4)}


def main() -> int:
    """Runs, writes and prints; 1 where tests are missing or a survivor is not explained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="a JSON file")
    parser.add_argument("--workdir", type=Path, help="keeps the copy and what was tried in it")
    parser.add_argument("--processes", type=int, default=1, help="mutants at a time")
    arguments = parser.parse_args()
    old = json.loads(arguments.output.read_text())["modules"] if arguments.output.exists() else {}
    rows = [row for module in old.values() for row in module["survivors"]]
    whys = {(row["function"], row["was"], row["became"]): row["why"] for row in rows}
    with tempfile.TemporaryDirectory(prefix="semad-mutation-") as temporary:
        folder = arguments.workdir or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        prepare(folder)
        run(folder, arguments.processes)
        modules = collect(folder, whys)
    parts = {name: share(modules, prefix) for name, prefix in PARTS.items()}
    result = {
        "mutmut": version("mutmut"),
        "tests": TESTS,
        "deselected": [SLOW],
        "parts": parts,
        "modules": modules,
    }
    arguments.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    unexplained = [row for m in modules.values() for row in m["survivors"] if not row["why"]]
    print("\n".join(f"{name}: {counts}" for name, counts in parts.items()))
    print(f"{len(unexplained)} survivors without a why in {arguments.output}")
    return int(bool(unexplained) or any(part["caught"] < LEAST for part in parts.values()))


if __name__ == "__main__":
    sys.exit(main())
