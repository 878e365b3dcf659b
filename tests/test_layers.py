"""Imports point one way: a package imports from those below it alone, and there is no circle."""

import ast
from pathlib import Path

import pytest

import semad

ROOT = Path(semad.__file__).parent

LAYERS = (
    "errors",
    "utils",
    "fibres",
    "types",
    "losses",
    "config",
    "nets",
    "synthetic",
    "data",
    "methods",
    "scoring",
    "run",
    "metrics",
    "training",
    "selection",
    "pictures",
    "plots",
    "evaluation",
    "reports",
    "pipeline",
    "inference",
    "teaching",
    "sweeps",
    "commandline",
    "modes",
    "cli",
    "__main__",
)
"""Packages and modules of semad, the lowest first. `semad.configs` is above `config` alone."""

MODULES = sorted(
    path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem != "__init__"
)


def imported(path: Path) -> set[str]:
    """The packages and modules of semad's root that a file imports from, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "semad" and len(parts) > 1:
                found.add(parts[1])
    return found


def layer_of(path: Path) -> str:
    """The package or module of semad's root that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_from_below_alone(path):
    own = LAYERS.index(layer_of(path))
    above = {name for name in imported(path) if LAYERS.index(name) > own}
    assert not above, f"{path.name} imports from above: {sorted(above)}"


def test_every_package_has_its_place():
    assert {layer_of(path) for path in MODULES} == set(LAYERS)


def test_configs_import_the_schema_alone():
    for path in (ROOT.parent / "configs").glob("*.py"):
        assert imported(path) <= {"config", "configs"}


@pytest.mark.parametrize(
    ("name", "place"),
    [("jax.distributed", "utils/joining.py"), ("multihost_utils", "utils/collective.py")],
)
def test_processes_talk_in_one_place(name, place):
    """What must be called by all processes of a run is easily seen."""
    talking = {str(path.relative_to(ROOT)) for path in MODULES if name in path.read_text()}
    assert talking == {place}


def test_each_heavy_library_is_touched_by_one_file():
    """Orbax, TensorBoard, ONNX and TFDS can be exchanged in one place each."""
    places = {"orbax": set(), "tensorboardX": set(), "onnx": set(), "tensorflow_datasets": set()}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                if module.partition(".")[0] in places:
                    places[module.partition(".")[0]].add(str(path.relative_to(ROOT)))
    assert places["orbax"] == {"run/checkpoints.py"}
    assert places["tensorboardX"] == {"training/logs.py"}
    assert places["onnx"] == {"inference/onnx_graph.py"}
    assert places["tensorflow_datasets"] <= {
        "data/sources/one_vs_rest.py",
        "data/sources/nanotwice.py",
        "data/sources/nanotwice_builder.py",
    }
