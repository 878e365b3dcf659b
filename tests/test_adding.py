"""The diffs of docs/adding_*.md apply to a copy of semad, and what they add works there.

The tests over all systems run on the added one there too.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("adding_*.md"))

CHECK = """
import numpy as np, jax
import semad
from semad.config.settings import resolve
from semad.configs import adversarial_autoencoder, bigan
from semad.data import sources
from semad.run.system import build

rng = np.random.default_rng(0)
train = rng.integers(0, 256, (4, 64, 64), np.uint8)
masks = np.zeros((2, 64, 64), bool)
masks[1, 16:40, 16:40] = True
np.savez("images.npz", train=train, test=np.where(masks, 255, train[:2]), masks=masks)

config = adversarial_autoencoder.get_config("smoke")
config.data.name, config.data.dir = "npz", "."
config.data.patch_size, config.data.crops_per_image = 16, 32
config.model.width, config.optim.clip_norm = 0.03125, 1.0
config.train.epochs = 1
config.population.seeds = 2
result = semad.train_and_evaluate(config, "run")
assert result["dataset"] == "npz"
for scores in (result["scores"]["anomaly"], result["scores"]["slope"]):
    assert 0 <= scores["partial_auroc"] <= 1
assert result["mean"]["partial_auroc"] is not None and result["std"]["partial_auroc"] is not None
model = semad.restore("run")
assert model.encode(train[:, :16, :16]).shape == (4, 16)
assert model.maps(train[0])["slope"].shape == (64, 64)

config = bigan.get_config("smoke")
config.score.name = "latent_norm"
assert build(config).scoring.score == "latent_norm"
config.optim.clip_norm = -1.0
try:
    resolve(config)
except semad.errors.UserError as error:
    assert "config.optim.clip_norm is -1.0; it must be at least 0" in str(error)
else:
    raise AssertionError("a bad value of the new setting was taken")
"""


def diffs(page: Path) -> str:
    """The diffs of a page, one behind the other."""
    blocks = re.findall(r"^```diff\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return "".join(blocks)


def test_every_page_shows_a_diff():
    assert [page.stem for page in PAGES] == [
        *("adding_a_data_source", "adding_a_knob", "adding_a_metric"),
        *("adding_a_score", "adding_a_system"),
    ]
    assert all(diffs(page) for page in PAGES)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_system_a_metric_a_score_a_data_source_and_a_setting(tmp_path):
    """All pages together, on one copy, in one process of its own."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "semad", tmp_path / "semad", ignore=ignore)
    shutil.copytree(ROOT / "configs", tmp_path / "configs", ignore=ignore)
    for page in PAGES:
        command = ["git", "apply", "-"]
        subprocess.run(command, cwd=tmp_path, input=diffs(page), text=True, check=True)
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=ignore)
    (tmp_path / "configs").rename(tmp_path / "semad" / "configs")  # as it is installed
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    existing = ["tests/training/test_train.py", "tests/methods", "tests/inference/test_model.py"]
    for command in (
        ["-c", CHECK],
        ["-m", "pytest", "-q", "-k", "adversarial_autoencoder", *existing],
    ):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
