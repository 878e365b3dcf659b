"""A trained detector learns what a person outlined, and stays what it was in its old workdir."""

import html
import json

import jax
import numpy as np
import pytest
from PIL import Image

import semad
from semad import pipeline
from semad.config import files
from semad.data import annotated, sources
from semad.data.annotated import AnnotatedImage
from semad.data.patches import PatchSampling
from semad.errors import UserError
from semad.modes import run as run_mode
from semad.run import workdir as workdirs
from semad.run.checkpoints import restore
from semad.run.state import init_population
from semad.run.system import build
from semad.teaching.effect import _interval_of, in_words
from semad.teaching.teach import teach
from semad.utils.versions import checksum
from tests import tiny


def tiny_config():
    config = tiny.config("recommended", score__stride=8, select="none")
    config.data.name = "nanofibres"
    config.data.train_images, config.data.image_size = 2, 64
    config.data.holdout = 0.4
    config.data.crops_per_image = 32
    config.train.batch_size = 16
    return config


def blob(image):
    """The image with a grey disc in it, and the disc."""
    rows, columns = np.mgrid[:64, :64]
    mask = np.hypot(rows - 30, columns - 40) < 12
    return np.where(mask[..., None], np.uint8(128), image), mask


def weights(workdir, system):
    like = jax.eval_shape(lambda: init_population(system.method, system.seeds))
    return restore(workdir / workdirs.CHECKPOINTS, like).state


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A workdir, and a folder with an image, a missed defect and a false alarm in it."""
    folder = tmp_path_factory.mktemp("teach")
    config = tiny_config()
    run_mode("train", folder / "run", config)
    image, mask = blob(sources.load(build(config).settings.data).test[0])
    normal = np.zeros((64, 64), bool)
    normal[:8] = True
    (folder / "outlined").mkdir()
    Image.fromarray(image[..., 0]).save(folder / "outlined/x.png")
    Image.fromarray(mask).save(folder / "outlined/x_mask.png")
    Image.fromarray(normal).save(folder / "outlined/x_normal.png")
    return folder


def sums(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    kept = [path for path in paths if not path.name.startswith(".")]
    return {str(path): path.read_bytes() for path in kept if path.name != "calibration.json"}


@pytest.fixture(scope="module")
def taught(trained):
    """What was taught by 64 more steps, what it says of its effect, and the old files before."""
    old = sums(trained / "run")
    config = files.load(trained / "run")
    config.train.teaching_epochs = 8
    made = teach(trained / "run", config, trained / "outlined", trained / "taught")
    return made, old


def test_outlined_defects_score_higher_and_false_alarms_lower(trained, taught):
    image = np.array(Image.open(trained / "outlined/x.png"))
    mask = np.array(Image.open(trained / "outlined/x_mask.png"))
    normal = np.array(Image.open(trained / "outlined/x_normal.png"))

    def gap(workdir):
        # Half of the averaged weights are from before, and eight steps had taught these nothing.
        config = files.load(workdir)
        config.score.weights = "raw"
        values = semad.load(workdir, config).anomaly_map(image)
        return values[mask].mean() - values[normal].mean()

    assert gap(trained / "taught") > gap(trained / "run") + 0.3


def test_the_old_run_stays_as_it_was(trained, taught):
    assert sums(trained / "run") == taught[1]


def test_teaching_trains_on_from_the_averaged_weights(trained, taught):
    config = files.load(trained / "taught")
    assert config.train.teaching_epochs == 8
    state = weights(trained / "taught", build(config))
    assert int(state.step[0]) == 8 + 8 * 8  # 32 crops of 2 levels of 2 images are 8 batches of 16
    assert set(state.opt_state) == {"discriminator", "teaching"}


def test_the_record_says_what_was_taught_and_what_it_changed(trained, taught):
    made = json.loads((trained / "taught/teaching.json").read_text())
    assert made == json.loads(json.dumps(taught[0]))
    assert made["from"] == {"workdir": str(trained / "run"), "step": 8}
    (outline,) = made["outlines"]
    assert (outline["file"], outline["normal_pixels"]) == ("x.png", 8 * 64)
    effect = made["effect"]
    assert {"all", "bead", "cutpaste"} <= set(effect["planted"])
    row = effect["planted"]["bead"]
    assert row["difference"] == pytest.approx(row["after"] - row["before"])
    assert row["worse"] == (row["interval"][1] < 0)
    assert effect["normal"]["images"] == 2
    (outlined,) = effect["outlines"]
    assert set(outlined) == {"file", "defects", "normal"}
    page = (trained / "taught/report.html").read_text()
    assert all(line in html.unescape(page) for line in in_words(effect))
    assert f"<td>bead</td><td>{row['before']:.3f}</td><td>{row['after']:.3f}</td>" in page
    assert "<h2>Teaching</h2>" not in (trained / "run/report.html").read_text()


def test_a_stopped_call_goes_on_to_the_same_weights(trained, taught):
    config = files.load(trained / "run")
    config.train.teaching_epochs = 8
    config.train.checkpoint_every = 16
    output = trained / "stopped"
    teach(trained / "run", config, trained / "outlined", output)
    folder = output / workdirs.CHECKPOINTS
    steps = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    for path in (folder / str(steps[-1])).rglob("*"):
        if path.is_file():
            path.unlink()
    (folder / str(steps[-1])).rename(folder / "gone")
    teach(trained / "run", config, trained / "outlined", output)
    system = build(files.load(trained / "taught"))
    first, second = (weights(trained / name, system) for name in ("taught", "stopped"))
    jax.tree.map(np.testing.assert_array_equal, first.ema, second.ema)


def test_teaching_again_keeps_what_was_taught(trained, taught):
    config = files.load(trained / "taught")
    config.train.teaching_epochs = 9
    teach(trained / "taught", config, trained / "outlined", trained / "again")
    first = annotated.read(trained / "taught")
    both = annotated.read(trained / "again")
    assert len(both.images) == 2 * len(first.images)
    np.testing.assert_array_equal(both.images[: len(first.images)], first.images)


def test_other_outlines_need_another_folder(trained, taught, tmp_path):
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "y.png")
    Image.fromarray(np.eye(64) > 0).save(tmp_path / "y_mask.png")
    config = files.load(trained / "run")
    with pytest.raises(UserError, match="with other outlines; give another --output"):
        teach(trained / "run", config, tmp_path, trained / "taught")


def test_fewer_epochs_than_there_were(trained, taught, tmp_path):
    config = files.load(trained / "taught")
    config.train.teaching_epochs = 3
    with pytest.raises(UserError, match="is 3, and .* was taught for 8; it counts all of them"):
        teach(trained / "taught", config, trained / "outlined", tmp_path / "new")


def test_a_system_that_learns_from_no_outlines(trained, tmp_path):
    config = tiny.config("autoencoder")
    pipeline.train(pipeline.prepare_in(tmp_path / "run", config), tmp_path / "run")
    with pytest.raises(UserError, match="autoencoder does not learn from outlines"):
        teach(tmp_path / "run", config, trained / "outlined", tmp_path / "new")


def test_epochs_of_teaching_without_outlines(tmp_path):
    config = tiny_config()
    config.train.teaching_epochs = 1
    with pytest.raises(UserError, match=r"annotated.npz is missing; --mode teach writes it"):
        pipeline.prepare_in(tmp_path, config)


@pytest.mark.parametrize("missing", ["images", "output"])
def test_the_mode_needs_both_folders(trained, tmp_path, missing):
    given = {"images": trained / "outlined", "output": tmp_path / "new"} | {missing: None}
    with pytest.raises(UserError, match=f"--mode teach needs --{missing}"):
        run_mode("teach", trained / "run", files.load(trained / "run"), **given)


def test_patches_hold_a_part_of_every_outline():
    pixels = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50, 1)
    defects, normal = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    defects[0, 0] = defects[5:30, 10:40] = True
    normal[39, 49] = True
    patches = annotated.cut([AnnotatedImage("a", pixels, defects, normal)], 16, seed=0)
    assert len(patches.images) == 16 + 16 + 16  # 750 pixels are covered four times by 12
    for image, defect, good in zip(*map(np.asarray, patches), strict=True):
        top, left = divmod(int(image[0, 0, 0]), 50)
        place = slice(top, top + 16), slice(left, left + 16)
        np.testing.assert_array_equal(image, pixels[place])
        np.testing.assert_array_equal(defect, defects[place])
        np.testing.assert_array_equal(good, normal[place])
        assert defect.any() or good.any()


def test_outlines_are_cut_from_every_level_of_a_pyramid():
    pixels = np.full((40, 50, 1), 7, np.uint8)
    pixels[6:8, 6:8] = 99
    defects, normal = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    defects[6, 7] = True  # a pixel is enough for its block of four
    image = AnnotatedImage("a", pixels, defects, normal)
    patches = annotated.cut([image], 16, seed=0, levels=3)
    assert len(patches.images) == 3 * 16
    assert np.asarray(patches.defects).sum(axis=(1, 2)).tolist() == [1] * 48
    marked = [image[defect > 0] for image, defect in zip(*patches[:2], strict=True)]
    # 99 in a block of its own, then with three of 7.
    assert np.concatenate(marked).ravel().tolist() == [99] * 32 + [30] * 16


def test_a_large_outline_has_more_patches():
    everywhere = np.ones((100, 100), bool)
    image = AnnotatedImage("a", np.zeros((100, 100, 1), np.uint8), everywhere, ~everywhere)
    assert len(annotated.cut([image], 16, 0).images) == 64
    assert len(annotated.cut([image], 64, 0).images) == 16


def test_drawn_patches_are_mirrored_with_their_masks():
    images = np.arange(4 * 4, dtype=np.uint8).reshape(1, 4, 4, 1)
    image = AnnotatedImage("a", images[0], images[0, ..., 0] > 12, images[0, ..., 0] < 3)
    patches = annotated.cut([image], 4, 0)
    drawn = annotated.draw(patches, PatchSampling(4, 1, 2, True), jax.random.key(1), 32)
    np.testing.assert_array_equal(drawn.defects, np.asarray(drawn.images)[..., 0] > 12)
    np.testing.assert_array_equal(drawn.normal, np.asarray(drawn.images)[..., 0] < 3)
    assert len({checksum([np.asarray(patch)]) for patch in drawn.images}) == 4
    still = annotated.draw(patches, PatchSampling(4, 1, 2, False), jax.random.key(1), 32)
    assert len({checksum([np.asarray(patch)]) for patch in still.images}) == 1


def test_an_interval_of_a_mean():
    # Of 1, 2, 3: mean 2, standard error 1/√3, Student's factor 4.3027 for two degrees of freedom.
    low, high = _interval_of(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-4)
    assert _interval_of(np.array([1.0])) is None


def test_an_effect_in_words():
    row = {"before": 0.5, "after": 0.4, "difference": -0.1, "interval": [-0.15, -0.05]}
    better = {"before": 0.5, "after": 0.6, "difference": 0.1, "interval": None, "worse": False}
    made = {
        "outlines": [{"file": "a.png", "defects": {"before": 0.1, "after": 0.95}}],
        "planted": {"all": better, "film": row | {"worse": True}},
        "normal": {"images": 3, "before": {"flagged": 0}, "after": {"flagged": 1}},
    }
    assert in_words(made) == [
        "a.png: of the pixels outlined as defects 10% were above the threshold, now 95%",
        "planted defects: average precision 0.500, now 0.600 (+0.100)",
        "worse than before: film (-0.100, 95 % -0.150 to -0.050)",
        "held-out normal images that are flagged: 0 of 3, now 1 of 3",
    ]
