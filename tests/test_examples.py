"""Every program and notebook of examples/ runs, on tiny networks and in temporary folders."""

import json
import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import semad
from semad.config import files
from semad.methods import METHODS
from tests import tiny

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NOTEBOOKS = {path.stem: json.loads(path.read_text()) for path in EXAMPLES.glob("*.ipynb")}


def code(notebook):
    """Its cells of code."""
    return [cell for cell in NOTEBOOKS[notebook]["cells"] if cell["cell_type"] == "code"]


def run_notebook(notebook, folder):
    """Runs its cells in a folder; the names that they define."""
    plt.switch_backend("Agg")  # figures are made, and shown nowhere
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        names = {"__name__": "__main__"}
        for cell in code(notebook):
            exec("".join(cell["source"]), names)
    plt.close("all")
    return names


def names_of(example):
    """What a program defines; its `main` is not called."""
    return runpy.run_path(str(EXAMPLES / f"{example}.py"))


@pytest.fixture(scope="module")
def bigan(tmp_path_factory):
    """The workdir that the notebook of first steps leaves."""
    folder = tmp_path_factory.mktemp("notebook")
    return folder / run_notebook("first_steps", folder)["WORKDIR"]


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory):
    """The workdir of the system that my_method.py adds to the others."""
    workdir, before = tmp_path_factory.mktemp("denoiser"), dict(METHODS)
    example = names_of("my_method")
    config = example["get_config"]()
    config.data.patch_size, config.data.image_size, config.data.crops_per_image = 16, 72, 16
    config.train.epochs, config.train.batch_size = 1, 8
    try:
        example["main"](str(workdir), config)
        yield workdir
    finally:
        METHODS.clear()
        METHODS.update(before)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """The workdir of the detector of train_on_arrays.py."""
    workdir = tmp_path_factory.mktemp("arrays")
    config = tiny.config("recommended", data__crops_per_image=16, score__stride=8)
    detector = names_of("train_on_arrays")["main"](config, str(workdir), size=72)
    assert len(detector.normal_.holdout) == 4
    return workdir


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebooks_are_stored_without_outputs(notebook):
    assert NOTEBOOKS[notebook]["nbformat"] == 4
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code(notebook))


def test_a_folder_becomes_a_report(tmp_path, capsys):
    """The notebook for a folder of images, then the program on what it trained: nothing is done
    twice, and both say the same."""
    names = run_notebook("folder_to_report", tmp_path)
    shown = {row["file"]: row["verdict"] for row in names["rows"]}
    assert len(shown) == 4
    assert set(shown.values()) <= {"normal", "anomalous"}
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "found/maps").rglob("*.tif")}
    assert len(kept) == 4
    folders = [str(tmp_path / names[name]) for name in ("GOOD", "NEW", "FOUND", "WORKDIR")]
    names["config"].data.dir = folders[0]
    capsys.readouterr()
    rows = names_of("folder_to_report")["main"](*folders, names["config"])
    assert {row["file"]: row["verdict"] for row in rows} == shown
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert f"report: {folders[2]}/report.html" in capsys.readouterr().out


def test_what_the_notebook_trains_is_a_run(bigan):
    assert files.load(bigan).method == "bigan"
    assert (bigan / "report.html").is_file()


def test_a_system_of_ones_own_is_evaluated_as_any_other(denoiser):
    result = json.loads((denoiser / "evaluation/thesis_tiles/metrics.json").read_text())
    assert result["score"] == "denoised"
    assert result["scores"].keys() == {"denoised", "l1", "l2", "ssim"}
    model = semad.restore(denoiser)
    images = np.random.default_rng(0).random((3, 16, 16))
    together, alone = model.score(images)["denoised"], model.score(images[1:2])["denoised"]
    np.testing.assert_allclose(together[1], alone[0], rtol=1e-5)


def test_a_detector_of_arrays_is_kept(arrays):
    assert semad.load(arrays).method_.name == "dense_discriminator"


@pytest.mark.parametrize(
    ("workdir", "says"),
    [
        ("bigan", "encode: (16, 16)\nreconstruct: (16, 32, 32, 1)\n"),
        (
            "denoiser",
            "denoiser has no latents, so it cannot encode\nreconstruct: (16, 16, 16, 1)\n",
        ),
        ("arrays", "dense_discriminator makes no reconstructions\n"),
    ],
)
def test_networks_are_restored_of_any_system(workdir, says, request, capsys):
    folder = request.getfixturevalue(workdir)
    capsys.readouterr()
    names_of("restore_and_encode")["main"](str(folder))
    printed = capsys.readouterr().out
    assert says in printed
    scores = semad.restore(folder).score(np.zeros((1, 16, 16)))
    assert all(f"\n{name}: " in printed for name in scores)


def test_networks_take_an_array_of_ones_own(denoiser, tmp_path, capsys):
    np.save(tmp_path / "images.npy", np.zeros((2, 16, 16), np.uint8))
    names_of("restore_and_encode")["main"](str(denoiser), str(tmp_path / "images.npy"))
    assert "reconstruct: (2, 16, 16, 1)" in capsys.readouterr().out
