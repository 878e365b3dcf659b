"""Checkpoints that an earlier semad wrote are still restored, score the same, and go on.

tests/landed/ holds a run for each format that landed, stopped half-way, and what it scored then.
`python -m tests.test_landed <name>` makes one by the semad, JAX and Orbax at hand; do so when a
checkpoint holds something new, and never again for a name that is there. Scores stay what they
were. Thresholds are calibrated anew, so `threshold` in expected.json changes with their rule.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import semad
from semad import pipeline
from semad.config import files
from semad.config.settings import resolve
from semad.data import sources
from semad.run.workdir import newest_step
from tests import tiny

LANDED = Path(__file__).parent / "landed"
EXPECTED = "expected.json"
IMAGES = 3


def images(workdir):
    return sources.load(resolve(files.load(workdir)).data).test[:IMAGES]


def resume(workdir):
    """Trains to the end, by the workdir's own config."""
    run = pipeline.prepare_in(workdir, files.load(workdir))
    return pipeline.train(run, workdir)


@pytest.mark.parametrize("name", sorted(path.name for path in LANDED.iterdir()))
def test_a_landed_checkpoint_is_restored_scores_the_same_and_goes_on(name, tmp_path):
    workdir = shutil.copytree(LANDED / name, tmp_path / "run")
    expected = json.loads((workdir / EXPECTED).read_text())
    assert newest_step(workdir) == expected["step"]
    detector = semad.load(workdir)
    scores = detector.score_samples(images(workdir))
    np.testing.assert_allclose(scores, expected["scores"], rtol=1e-5)
    patches = np.stack([image[:16, :16] for image in images(workdir)])
    for score, values in semad.restore(workdir).score(patches).items():
        np.testing.assert_allclose(values, expected["patches"][score], rtol=1e-5, err_msg=score)
    assert detector.thresholds_.image == pytest.approx(expected["threshold"], rel=1e-5)
    state = resume(workdir)
    counts = [int(optimiser.count[0]) for optimiser in state.opt_state.values()]
    assert [int(state.step[0]), *counts] == [expected["last_step"]] * (1 + len(counts))
    assert expected["last_step"] > expected["step"]
    resumed = semad.load(workdir).score_samples(images(workdir))
    # Adam turns rounding into whole steps, and forms of convolutions and versions round each in
    # their way: seen were 7 %, where what the steps change is 25 %.
    np.testing.assert_allclose(resumed, expected["resumed"], rtol=0.15)
    assert np.abs(resumed / expected["scores"] - 1).min() > 0.15


def make(name):
    """A run of two epochs, kept as it was after the first."""
    config = tiny.config("autoencoder", data__name="nanofibres", data__image_size=64)
    config.data.train_images, config.data.test_images = 4, 4
    config.data.crops_per_image, config.train.epochs, config.train.checkpoint_every = 32, 2, 8
    config.lr.encoder = config.lr.decoder = 1e-2
    target = LANDED / name
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder) / "run"
        last = int(pipeline.train(pipeline.prepare_in(workdir, config), workdir).step[0])
        resumed = semad.load(workdir).score_samples(images(workdir)).tolist()
        shutil.rmtree(workdir / "checkpoints" / str(last))
        kept = workdir / "checkpoints" / str(newest_step(workdir))
        target.mkdir(parents=True)
        for record in ("config.json", "versions.json", "normal.npz", "sha256.json"):
            shutil.copy(workdir / record, target)
        shutil.copytree(kept, target / "checkpoints" / kept.name)
    before = shutil.copytree(target, Path(tempfile.mkdtemp()) / "run")
    detector = semad.load(before)
    patches = np.stack([image[:16, :16] for image in images(before)])
    scored = semad.restore(before).score(patches)
    expected = {
        "step": newest_step(before),
        "scores": detector.score_samples(images(before)).tolist(),
        "patches": {score: np.asarray(values).tolist() for score, values in scored.items()},
        "threshold": detector.thresholds_.image,
        "last_step": last,
        "resumed": resumed,
    }
    (target / EXPECTED).write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    make(sys.argv[1])
