"""Cross-validation with a workdir: every fold has a folder of its own, and goes on in it."""

import numpy as np
import pytest
from sklearn.base import clone

import semad
from semad.config import files
from semad.utils import locks
from tests import tiny
from tests.complaints import one_line

UNTRAINED = {"data__name": "arrays", "train__epochs": 0}
CONFIG = tiny.config("autoencoder", **UNTRAINED)
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 16, 16), np.uint8)


def runs(workdir):
    return sorted(path.name for path in (workdir / "clones").iterdir())


def test_each_fold_has_a_folder(tmp_path):
    detector = semad.Detector(CONFIG, tmp_path / "run")
    folds = IMAGES[:12], IMAGES[12:]
    fitted = [clone(detector).fit(fold) for fold in folds]
    names = runs(tmp_path / "run")
    assert len(names) == 2
    assert {each.workdir_.name for each in fitted} == set(names)
    assert [each.workdir for each in fitted] == [tmp_path / "run"] * 2  # as scikit-learn wants it
    again = clone(clone(detector)).fit(folds[1])
    assert runs(tmp_path / "run") == names
    np.testing.assert_array_equal(again.score_samples(IMAGES), fitted[1].score_samples(IMAGES))
    loaded = semad.load(fitted[0].workdir_)
    np.testing.assert_array_equal(loaded.score_samples(IMAGES), fitted[0].score_samples(IMAGES))
    other = clone(detector).set_params(config=tiny.config("autoencoder", seed=3, **UNTRAINED))
    other.fit(folds[0])
    assert len(runs(tmp_path / "run")) == 3


def test_what_is_no_clone_trains_in_the_workdir_itself(tmp_path):
    detector = semad.Detector(CONFIG, tmp_path / "run").fit(IMAGES[:12])
    assert files.load(tmp_path / "run").method == "autoencoder"
    assert detector.workdir_ == tmp_path / "run"
    one_line(lambda: detector.fit(IMAGES[12:]), tmp_path / "run", "other training images")


def test_a_workdir_in_use(tmp_path, monkeypatch):
    monkeypatch.setitem(locks._held, (tmp_path / "run").resolve(), -1)  # as of another thread
    one_line(lambda: semad.Detector(CONFIG, tmp_path / "run").fit(IMAGES), "is in use")


def test_calibration_goes_on_where_it_was(tmp_path, monkeypatch):
    detector = semad.Detector(CONFIG, tmp_path / "run").fit(IMAGES)
    detector.thresholds_  # noqa: B018
    whole = (tmp_path / "run" / "calibration.json").read_text()
    (tmp_path / "run" / "calibration.json").unlink()
    stopped = semad.load(tmp_path / "run")
    maps = stopped._maps

    def stopping(images):
        for number, values in enumerate(maps(images)):
            if number == 3:
                raise KeyboardInterrupt
            yield values

    monkeypatch.setattr(stopped, "_maps", stopping)
    with pytest.raises(KeyboardInterrupt):
        stopped.thresholds_  # noqa: B018
    assert (tmp_path / "run" / ".calibration.unfinished").is_dir()
    again, mapped = semad.load(tmp_path / "run"), []
    maps_again = again._maps
    count = lambda images: mapped.append(len(images)) or maps_again(images)  # noqa: E731
    monkeypatch.setattr(again, "_maps", count)
    again.thresholds_  # noqa: B018
    assert mapped == [len(again.normal_.images) - 3]
    assert (tmp_path / "run" / "calibration.json").read_text() == whole
    assert not (tmp_path / "run" / ".calibration.unfinished").exists()
