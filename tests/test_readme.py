"""What the README and the pages of docs/ tell people to type is what works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from semad.methods import METHODS

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCES = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [
    block.replace("\\\n", " ")
    for page in PAGES
    for language, block in FENCES.findall(page.read_text())
    if not language  # commands; code of a language and drawings name it
]
COMMANDS = sorted({line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()})
CONFIGS = sorted(
    path.stem for path in (ROOT / "configs").glob("*.py") if path.stem not in ("__init__", "common")
)


@pytest.mark.parametrize("command", [line for line in COMMANDS if "--config " in line])
def test_configs_of_commands_exist(command):
    words = shlex.split(command)
    name = words[words.index("--config") + 1].partition(":")[0]
    assert Path(name).stem in CONFIGS
    assert "/" not in name or (ROOT / name).is_file()


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("python ")])
def test_programs_of_commands_exist(command):
    words = shlex.split(command)
    if words[1].endswith("/export/score.py"):  # --mode export writes it
        assert (ROOT / "semad" / "inference" / "score.py").is_file()
    elif words[1] != "-m":
        assert (ROOT / words[1]).is_file()
    elif words[2].startswith("semad."):
        assert (ROOT / words[2].replace(".", "/")).with_suffix(".py").is_file()


def test_ci_runs_the_test_command_of_the_readme():
    (command,) = re.findall(r"^python3 .*pytest.*$", README.read_text(), re.MULTILINE)
    assert command in COMMANDS
    assert all(part in command for part in ("[test]", "ruff check", "ruff format --check"))


def test_the_readme_lists_every_config():
    text = README.read_text()
    assert all(f"configs/{name}.py" in text for name in CONFIGS)
    assert all(name in CONFIGS for name in METHODS)


def test_the_results_are_those_of_the_committed_files():
    script = [sys.executable, "experiments/results.py", "table", "--check"]
    assert subprocess.run(script, cwd=ROOT, check=False).returncode == 0
