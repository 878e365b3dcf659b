"""Two processes on one machine train, search, score and map as a single one does."""

import json
import shutil

import numpy as np
import pytest

from semad import pipeline
from semad.config import files
from semad.run import workdir as workdirs
from semad.run.prepare import prepare
from semad.run.state import read_pretrained
from semad.training import loop
from semad.utils import backend
from tests import backbone_file
from tests.together import processes

SHARED = backend.CPU._replace(devices_share_training=True)
TINY = (
    "--config.train.batch_size=16",
    "--config.train.epochs=1",
    "--config.train.log_every=2",
    "--config.train.image_every=100",
    "--config.score.smoothing=0.0",
)
TILES = (
    "--config=anogan:smoke",
    *TINY,
    "--config.data.name=digits",
    "--config.data.patch_size=16",
    "--config.model.width=0.03125",
    "--config.model.latent_dim=8",
    "--config.population.seeds=4",  # of two devices each, four devices have a member each
    "--config.population.together=4",
    "--config.train.encoder_epochs=0",
    "--config.train.validate_every=0",
    "--config.eval.checkpoint=newest",
    "--config.search.recipe=published",
    "--config.search.steps=5",
    "--config.score.stride=16",
    "--config.score.chunk=4",
    "--config.eval.max_items=43",
    "--config.eval.max_holdout_items=20",
)
MAPS = (
    "--config=recommended:smoke",
    *TINY,
    "--config.data.name=nanofibres",
    "--config.data.image_size=64",
    "--config.data.patch_size=32",
    "--config.data.train_images=3",
    "--config.data.test_images=3",
    "--config.data.crops=64",
    "--config.model.width=0.03125",
    "--config.population.seeds=1",  # so that a batch is shared out
    "--config.train.validate_every=4",
    "--config.select=none",
    "--config.score.stride=16",
)


@pytest.fixture(scope="module")
def together():
    with processes() as warm:
        yield warm


def lines(output):
    """Those of ours; progress bars end in a carriage return."""
    parts = output.replace("\r", "\n").splitlines()
    return [line.strip() for line in parts if line.strip().startswith("semad: ")]


def losses(workdir):
    rows = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    return {row["step"]: [v for k, v in sorted(row.items()) if "loss" in k] for row in rows}


def scores(folder):
    with np.load(folder / "scores.npz") as arrays:
        return dict(arrays)


def again_by_one(workdir, tmp_path):
    """The losses of the same run by this process, and its evaluation of the state in `workdir`."""
    run = prepare(files.load(workdir))
    run = run._replace(pretrained=read_pretrained(run.method))
    loop.train(run, tmp_path / "one", SHARED)
    copy = shutil.copytree(workdir, tmp_path / "copy")
    pipeline.evaluate(run, workdirs.restore(copy, run.system), copy, tmp_path / "again")
    return losses(tmp_path / "one")


def assert_near(two, one):
    assert two.keys() == one.keys()
    for step, values in one.items():
        np.testing.assert_allclose(two[step], values, rtol=1e-3, err_msg=str(step))


def test_tiles_with_a_stop_of_one_process_in_between(together, tmp_path):
    workdir = tmp_path / "two"
    command = ("--workdir", workdir, *TILES)
    stopped = together.run(*command, "--mode=train", stop_at=2)
    assert stopped.codes == [130, 130], stopped.outputs
    # The signal of step 2 is known at step 3, at which both save.
    for output in stopped.outputs:
        assert lines(output)[-1].startswith("semad: stopped at step 3, saved")
    assert workdirs.newest_step(workdir) == 3
    ended = together.run(*command)
    assert ended.codes == [0, 0], ended.outputs
    assert "AUROC" in ended.outputs[0]
    assert not lines(ended.outputs[1])  # nothing is said twice
    assert not list(tmp_path.glob(".*"))  # locks
    assert len(list((workdir / "tensorboard").iterdir())) == 2  # of two calls by one process
    one = again_by_one(workdir, tmp_path)
    two = losses(workdir)
    assert two.pop(3)  # the stop's
    one.pop(4), two.pop(4)  # means over two steps, and over one
    assert [len(values[0]) for values in one.values()] == [4] * len(one)
    assert_near(two, one)
    mine = scores(tmp_path / "again/evaluation/one_class")
    theirs = scores(workdir / "evaluation/one_class")
    assert mine.keys() == theirs.keys()
    for name, values in mine.items():
        np.testing.assert_array_equal(theirs[name], values, err_msg=name)


@pytest.mark.parametrize("more", [False, True], ids=["alone", "backbone and density"])
def test_maps(more, together, tmp_path):
    workdir, changes = tmp_path / "two", []
    if more:
        weights = backbone_file.write(tmp_path / "weights.safetensors")
        changes = [f"--config.model.backbone={weights}", "--config.train.density_epochs=2"]
    ended = together.run("--workdir", workdir, *MAPS, *changes)
    assert ended.codes == [0, 0], ended.outputs
    assert_near(losses(workdir), again_by_one(workdir, tmp_path))
    mine = scores(tmp_path / "again/evaluation/pixel")
    theirs = scores(workdir / "evaluation/pixel")
    for name, values in mine.items():
        np.testing.assert_array_equal(theirs[name], values, err_msg=name)
    assert (workdir / "best").is_dir()
    assert (workdir / "report.html").is_file()


def test_another_config_ends_both_in_one_line(together, tmp_path):
    of_each = ((), ("--config.seed=7",))
    ended = together.run("--workdir", tmp_path / "two", *TILES, of_each=of_each)
    assert ended.codes == [2, 2], ended.outputs
    for output in ended.outputs:
        assert "process 1 has config.seed = 7, and process 0 0; give all" in lines(output)[-1]
    assert not (tmp_path / "two").exists()
