"""The records of a run: written by calls that train, checked by all, and damaged ones named."""

import json
import logging
import random
import shutil

import numpy as np
import pytest
import tifffile

from semad import pipeline
from semad.config import files
from semad.errors import TrainingDiverged
from semad.evaluation.compared import read_metrics
from semad.run import workdir as workdirs
from semad.run.checkpoints import steps
from semad.run.history import load_history
from semad.run.prepare import prepare
from semad.utils import locks
from semad.utils.arrays import read_arrays, write_arrays
from tests import tiny
from tests.complaints import one_line

RECORDS = ("config.json", "versions.json", "normal.npz", "sha256.json")


def config(**changes):
    return tiny.config("autoencoder", train__validate_every=3, **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("records") / "run"
    pipeline.train_and_evaluate(config(), workdir)
    return workdir


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def micrographs(root, bits=8):
    """A folder of four normal images and one with a defect, of so many bits."""
    draw = np.random.default_rng(0)
    image = {8: np.uint8, 12: np.uint16}[bits]
    for name in ("train/good/a", "train/good/b", "train/good/c", "test/good/d", "test/spot/e"):
        path = root / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, draw.integers(0, 2**bits, (64, 48)).astype(image))
    mask = np.zeros((64, 48), np.uint8)
    mask[:9, :9] = 255
    (root / "ground_truth/spot").mkdir(parents=True)
    tifffile.imwrite(root / "ground_truth/spot/e_mask.tif", mask)


@pytest.mark.parametrize("bits", [8, 12])
def test_an_evaluation_needs_no_training_images(tmp_path, bits):
    micrographs(tmp_path / "data", bits)
    changes = {"data__name": "folder", "data__dir": str(tmp_path / "data")}
    changes |= {"data__crops_per_image": 16, "eval__protocol": "pixel"}
    first = pipeline.train_and_evaluate(config(**changes), tmp_path / "run")
    shutil.rmtree(tmp_path / "data" / "train")
    run = pipeline.prepare_in(tmp_path / "run", config(**changes), trains=False)
    state = workdirs.restore(tmp_path / "run", run.system)
    again = pipeline.evaluate(run, state, tmp_path / "run")
    for key in ("auroc", "average_precision", "threshold", "baselines", "test_data_sha256"):
        assert again[key] == first[key]
    one_line(lambda: pipeline.prepare_in(tmp_path / "run", config(**changes)), "train/good")


def train(workdir, **changes):
    return pipeline.train(pipeline.prepare_in(workdir, config(**changes)), workdir)


def stamps(workdir):
    return {name: (workdir / name).stat().st_mtime_ns for name in RECORDS}


def test_a_call_that_does_no_work_writes_no_record(copied):
    before = stamps(copied)
    train(copied, score__name="l1")
    assert stamps(copied) == before
    assert files.load(copied).score.name != "l1"
    train(copied, train__epochs=2)
    assert all(stamps(copied)[name] > before[name] for name in RECORDS)
    assert files.load(copied).train.epochs == 2


def test_normal_images_keep_their_names(copied):
    path, normal = copied / "normal.npz", workdirs.load_normal(copied)
    assert normal.names == prepare(config()).normal.names
    assert normal.names[:2] == ["digit/0", "digit/10"]
    arrays = read_arrays(path)
    write_arrays(path, {name: values for name, values in arrays.items() if name != "names"})
    assert workdirs.load_normal(copied).names == [""] * len(normal.images)
    write_arrays(path, arrays | {"names": np.array(["a"])})
    one_line(lambda: workdirs.load_normal(copied), "normal.npz: damaged", "--mode train")


def test_what_is_missing_is_written_all_the_same(copied):
    before = stamps(copied)
    (copied / "normal.npz").unlink()
    one_line(lambda: workdirs.load_normal(copied), "normal.npz is missing", "--mode train")
    train(copied)
    assert workdirs.load_normal(copied).images
    assert stamps(copied)["config.json"] == before["config.json"]
    assert workdirs.damage(copied) is None


@pytest.mark.parametrize("name", RECORDS[:3])
def test_a_changed_record_is_named(copied, caplog, name):
    path = copied / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0", b"1", 1) if name != "normal.npz" else content + b"\0")
    workdirs.check_records(copied)
    assert f"{name} is not as sha256.json has it; it was edited, or it is damaged" in caplog.text


def test_a_run_is_checked_when_it_is_used(copied, caplog):
    path = copied / "config.json"
    path.write_text(path.read_text().replace('"preset": "smoke"', '"preset": "smoky"'))
    pipeline.stored_system(copied)
    assert caplog.text.count("config.json is not as") == 1
    pipeline.prepare_in(copied, config())
    assert caplog.text.count("config.json is not as") == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"training_images_sha2', "[" * 10**5])
def test_damaged_versions_are_named_and_the_run_goes_on(copied, caplog, text):
    (copied / "versions.json").write_text(text)
    run = pipeline.prepare_in(copied, config())
    assert "versions.json: damaged; the training images are not compared with it" in caplog.text
    assert workdirs.load_bit_depth(copied) == 0
    assert run.total_steps == 7


def test_the_bit_depth_of_the_training_images(copied, tmp_path):
    run = prepare(config())
    run = run._replace(source=run.source._replace(bit_depth=12))
    workdirs.store(tmp_path / "new", run)
    assert workdirs.load_bit_depth(tmp_path / "new") == 12
    assert workdirs.load_bit_depth(tmp_path / "none") == 0
    for value in (17, -1, "12", None):
        record = {"training_images_sha256": "a", "training_images_bit_depth": value}
        (copied / "versions.json").write_text(json.dumps(record))
        assert workdirs.load_bit_depth(copied) == 0


def test_flipped_bits_in_the_held_out_images(copied):
    """Each is named, or changes nothing."""
    path = copied / "normal.npz"
    content, whole = path.read_bytes(), workdirs.load_normal(copied)
    named = 0
    for bit in random.Random(0).sample(range(8 * len(content)), 300):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            holdout = workdirs.load_normal(copied)
        except workdirs.UserError as error:
            assert "normal.npz: damaged" in str(error)
            assert "\n" not in str(error)
            named += 1
            continue
        assert (holdout.part, holdout.names) == (whole.part, whole.names)
        for image, expected in zip(holdout.images, whole.images, strict=True):
            np.testing.assert_array_equal(image, expected)
    assert named > 200


def test_damaged_results_are_named(copied):
    folder = copied / "evaluation" / "one_class"
    result = read_metrics(folder)
    path = folder / "metrics.json"
    path.write_text(path.read_text().replace(f"{result['auroc']}", "0.987"))
    one_line(lambda: read_metrics(folder), folder, "metrics.json is not as", "evaluate again")
    (folder / "sha256.json").unlink()
    assert read_metrics(folder)["auroc"] == 0.987  # as in older workdirs
    for text in ("", "[]", '{"auroc": '):
        path.write_text(text)
        one_line(lambda: read_metrics(folder), folder, "metrics.json is damaged")


def diverge(workdir):
    run = pipeline.prepare_in(workdir, config(train__epochs=2))
    with pytest.raises(TrainingDiverged, match="the same command with lower rates") as caught:
        pipeline.train(tiny.with_learning_rate(run, np.inf), workdir)
    assert "the checkpoint of step 7 is kept" in str(caught.value)


def test_divergence_goes_on_from_the_last_checkpoint_with_another_rate(copied, caplog):
    rates = {"lr__decoder": 1e-5, "train__epochs": 2}
    one_line(lambda: train(copied, **rates), "config.lr.decoder = ")
    diverge(copied)
    assert (copied / "diverged.json").is_file()
    (copied / "best" / "9").mkdir()  # of steps that are trained otherwise
    one_line(lambda: train(copied, **rates, train__batch_size=8), "config.train.batch_size")
    asked = config(**rates)
    one_line(lambda: pipeline.prepare_in(copied, asked, trains=False), "config.lr.decoder")
    one_line(lambda: pipeline.stored_system(copied, asked), "config.lr.decoder")
    before = files.load(copied).lr.decoder
    state = train(copied, **rates)
    assert int(state.step[0]) == 14
    assert files.load(copied).lr.decoder == 1e-5
    (line,) = load_history(copied)
    assert line["changes"] == {"lr.decoder": [before, 1e-5]}
    assert line["step"] == 7
    assert 7 < line["diverged_at"] <= 14
    assert line["date"].startswith("20")
    assert not (copied / "diverged.json").exists()
    assert 9 not in steps(copied / "best")
    one_line(lambda: train(copied, **rates, lr__encoder=1e-5), "config.lr.encoder")
    run = pipeline.prepare_in(copied, config(**rates))
    result = pipeline.evaluate(run, workdirs.restore(copied, run.system), copied)
    assert result["history"] == [line]


def test_damaged_lines_of_the_history_are_left_out(tmp_path, caplog):
    good = {"date": "2020", "step": 3, "diverged_at": 5, "changes": {"lr.decoder": [1, 2]}}
    lines = [json.dumps(good), '{"date": ', "[]", "3", '{"date": "2020"}']
    (tmp_path / "history.jsonl").write_text("\n".join(lines))
    assert load_history(tmp_path) == [good]
    assert caplog.text.count("a damaged line is left out") == 4
    assert load_history(tmp_path / "none") == []


@pytest.fixture
def damaged(copied):
    """The newest checkpoint is damaged."""
    newest = steps(copied / "checkpoints")[0]
    next((copied / "checkpoints" / str(newest)).rglob("manifest.ocdbt")).write_bytes(b"")
    return copied


def test_what_is_not_trained_is_not_evaluated_in_place_of_a_damaged_state(damaged):
    assert steps(damaged / "checkpoints") == [7, 0]
    system = pipeline.stored_system(damaged)
    before = sorted(damaged.rglob("*"))
    one_line(lambda: workdirs.restore(damaged, system), "step 7 is damaged", "not trained")
    assert sorted(damaged.rglob("*")) == before


def test_an_older_state_is_evaluated_with_a_caution(copied, caplog):
    train(copied, train__epochs=2)
    assert steps(copied / "checkpoints") == [14, 7]
    next((copied / "checkpoints" / "14").rglob("manifest.ocdbt")).write_bytes(b"")
    run = pipeline.prepare_in(copied, config(train__epochs=2))
    state = workdirs.restore(copied, run.system)
    assert int(state.step[0]) == 7
    assert "the checkpoint of step 14 is damaged (" in caplog.text
    run = run._replace(source=run.source._replace(cautions=("A mask is inverted.",)))
    result = pipeline.evaluate(run, state, copied)
    assert result["cautions"][:2] == [
        "A mask is inverted.",
        "Of step 7, though there is a checkpoint of step 14.",
    ]


def test_a_damaged_best_state_is_replaced_by_no_other(copied):
    (step,) = steps(copied / "best")
    next((copied / "best" / str(step)).rglob("manifest.ocdbt")).write_bytes(b"")
    asked = files.load(copied)
    asked.eval.checkpoint = "best"
    system = pipeline.stored_system(copied, asked)
    one_line(
        lambda: workdirs.restore(copied, system), f"{step}: ", "--config.eval.checkpoint=newest"
    )


def test_nobody_else_writes_to_the_workdir(copied, monkeypatch):
    run = pipeline.prepare_in(copied, config())
    state = workdirs.restore(copied, run.system)
    monkeypatch.setitem(locks._held, copied.resolve(), -1)  # as of another thread
    for call in (
        lambda: pipeline.train(run, copied),
        lambda: pipeline.evaluate(run, state, copied),
        lambda: pipeline.train_and_evaluate(config(), copied),
    ):
        one_line(call, copied, "is in use")


def test_cautions_of_the_data_are_said_once(tmp_path, monkeypatch, caplog):
    fresh = prepare(config())
    source = fresh.source._replace(cautions=("A mask is inverted.",))
    monkeypatch.setattr(pipeline.sources, "load", lambda data: source)
    with caplog.at_level(logging.WARNING):
        pipeline.prepare_in(tmp_path, config())
    assert caplog.text.count("A mask is inverted.") == 1
