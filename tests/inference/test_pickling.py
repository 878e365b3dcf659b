"""Detectors and models are pickled as the folder of their run; what has none says what to do."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest

import semad
from semad.config.settings import resolve
from semad.run.system import build
from tests import tiny

CONFIG = {"data__name": "folder", "score__smoothing": 1.0}
IMAGES = np.random.default_rng(0).integers(0, 255, (6, 48, 48), dtype=np.uint8)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    config = tiny.config("autoencoder", **CONFIG, population__seeds=2)
    return semad.Detector(config, tmp_path_factory.mktemp("pickling") / "run").fit(IMAGES)


def dumped_by_joblib(value):
    """Written and read by joblib, as scikit-learn advises."""
    file = io.BytesIO()
    joblib.dump(value, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize(
    "copied", [lambda value: pickle.loads(pickle.dumps(value)), dumped_by_joblib]
)
def test_a_trained_detector_and_its_model(detector, copied):
    again = copied(detector)
    assert (again.workdir, again.workdir_) == (detector.workdir, detector.workdir_)
    assert again.config == detector.config
    assert again.thresholds_ == detector.thresholds_
    expected = detector.score_samples(IMAGES[:2])
    np.testing.assert_array_equal(again.score_samples(IMAGES[:2]), expected)
    model = semad.restore(detector.workdir_, member=1)
    patches = IMAGES[:2, :16, :16]
    np.testing.assert_array_equal(copied(model).encode(patches), model.encode(patches))


def test_what_was_loaded_with_other_settings(detector):
    config = tiny.config("autoencoder", **CONFIG, population__seeds=2, score__pooling="mean")
    config.data.name = "arrays"
    config.data.normalisation = detector.settings_.data.normalisation
    loaded = semad.load(detector.workdir_, config)
    again = pickle.loads(pickle.dumps(loaded))
    assert again.settings_ == loaded.settings_
    assert again.settings_.score.pooling == "mean"


def test_an_untrained_detector():
    detector = semad.Detector(tiny.config("autoencoder"), "somewhere")
    again = pickle.loads(pickle.dumps(detector))
    assert (again.config, again.workdir) == (detector.config, "somewhere")


def test_what_has_no_folder_says_what_to_do(detector):
    with pytest.raises(TypeError, match=r"without a workdir .* Detector\(config, workdir\)"):
        pickle.dumps(semad.Detector(tiny.config("autoencoder", **CONFIG)).fit(IMAGES))
    model = semad.restore(detector.workdir_)
    with pytest.raises(TypeError, match=r"pickle what semad.restore\(workdir\) gives"):
        pickle.dumps(type(model)(model.system, model.state, 0))
    with pytest.raises(TypeError, match=r"semad.run.system.build\(settings\)"):
        pickle.dumps(model.system)


def test_settings():
    settings = resolve(tiny.config("bigan"))
    for again in (pickle.loads(pickle.dumps(settings)), copy.deepcopy(settings)):
        assert again == settings
        with pytest.raises(TypeError):
            again.lr["generator"] = 1.0
    assert build(again).settings == settings


@pytest.mark.parametrize("labels", [np.zeros(5), np.zeros((6, 1)), 0])
def test_labels_of_another_number(labels):
    detector = semad.Detector(tiny.config("autoencoder", **CONFIG))
    with pytest.raises(ValueError, match="for 6 images; give a class for each"):
        detector.fit(IMAGES, labels)
