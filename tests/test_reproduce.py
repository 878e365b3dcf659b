"""The scripts behind docs/reproduction.md: which runs they are, and the thesis' figures."""

import pytest

from experiments import reproduce, reproduction
from semad.config.overrides import named
from semad.config.settings import resolve
from semad.methods import METHODS
from semad.run.system import build


def every_run():
    return [
        *reproduce.tiles(list(reproduce.SYSTEMS), "medium"),
        *reproduce.contributions("medium"),
        *reproduce.items(["ganomaly"], "mnist", "small"),
    ]


def test_every_run_has_a_name_and_a_valid_config():
    runs = every_run()
    assert len({run.name for run in runs}) == len(runs)
    for run in runs:
        build(named(run.system, run.preset, run.overrides))
        assert run.trained in {"", *(one.name for one in runs)}
    assert sum(run.name.startswith("mnist") for run in runs) == 10


@pytest.mark.parametrize("name", reproduce.SYSTEMS)
def test_the_medium_preset_has_six_epochs_in_all(name):
    settings = resolve(named(name, "medium"))
    assert sum(phase.epochs for phase in METHODS[name](settings).phases) == 6


def test_the_figures_of_the_thesis():
    """As printed: GANomaly and SENCEBGAN in the comparison, Skip-GANomaly in table 55 alone."""
    printed = reproduction.thesis()
    assert printed.keys() == {name for name, _ in reproduction.SYSTEMS.values()}
    assert printed["GANomaly"]["auroc"] == pytest.approx(0.777, abs=5e-4)
    assert printed["SENCEBGAN"]["auroc"] == pytest.approx(0.718, abs=5e-4)
    assert printed["Skip-GANomaly"]["auroc"] == pytest.approx(0.532, abs=5e-4)
    tricks = reproduction.tricks("bigan")
    assert len(tricks) == 8
    assert tricks["LF"] == pytest.approx(0.395, abs=5e-4)


def test_a_curve_is_what_the_log_says(tmp_path):
    assert reproduction.read_curve(tmp_path) == []
    (tmp_path / "log.jsonl").write_text(
        '{"step": 1}\n{"step": 2, "validation/planted_tiles": [-0.5, -0.7]}\n'
        '{"step": 4, "validation/planted_tiles": -0.8}\n'
    )
    assert reproduction.read_curve(tmp_path) == [(2, 0.6), (4, 0.8)]
