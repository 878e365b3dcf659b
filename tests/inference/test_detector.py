"""`semad.Detector` and `semad.load`, as scikit-learn's users would have them."""

import jax
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

import semad
from semad.config import files
from semad.config.settings import flatten, resolve
from semad.data import sources
from semad.errors import UserError
from semad.scoring.calibration import calibrate
from semad.scoring.overfitting import NormalMap
from semad.scoring.thresholds import Rates
from tests import tiny

SETTINGS = {
    "data__name": "nanofibres",
    "data__image_size": 72,
    "data__crops_per_image": 16,
    "score__stride": 8,
}


@pytest.fixture(scope="module")
def config():
    return tiny.config("autoencoder", **SETTINGS)


@pytest.fixture(scope="module")
def source(config):
    return sources.load(resolve(config).data)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("detector") / "run"


@pytest.fixture(scope="module")
def detector(config, source, workdir):
    return semad.Detector(config, workdir).fit(source.train)


def test_scores_maps_and_verdicts_agree(detector, source):
    images = np.stack(source.test)
    scores = detector.score_samples(images)
    assert scores.shape == (4,)
    limit = detector.thresholds_.image
    np.testing.assert_array_equal(detector.decision_function(images), scores - limit)
    np.testing.assert_array_equal(detector.predict(images), scores > limit)
    values = detector.anomaly_map(images[0])
    assert (values.shape, values.dtype) == ((72, 72), np.float32)
    assert detector.score_map(values) == scores[0]
    assert detector.segment(images[0]).any() == (scores[0] > limit)


def test_every_form_of_the_same_images_scores_the_same(detector, source):
    images = np.stack(source.test)
    scores = detector.score_samples(images)
    for same in (images[..., 0], list(images), images.astype(np.uint16) * 257, images / 255):
        np.testing.assert_allclose(detector.score_samples(same), scores, rtol=1e-4)


def test_thresholds_come_from_normal_images(detector, config):
    """Four images, cut into rows that training saw and rows that it did not."""
    normal, score = detector.normal_, detector.settings_.score
    values = [detector.anomaly_map(image) for image in normal.images]
    maps = [NormalMap(*each) for each in zip(values, normal.seen, normal.names, strict=True)]
    rates = Rates(score.threshold_rate, score.pixel_rate)
    expected = calibrate(maps, rates, score.pooling, score.min_area, normal.part)
    assert detector.thresholds_ == expected.thresholds
    assert detector.calibration_ == expected.record
    assert expected.record["images"] == len(normal.images) == 4


def test_loading_gives_the_same_detector(detector, source, workdir):
    again = semad.load(workdir)
    for name in ("score_samples", "predict"):
        np.testing.assert_array_equal(
            getattr(again, name)(source.test), getattr(detector, name)(source.test)
        )
    assert again.thresholds_ == detector.thresholds_


def test_loading_with_other_settings_of_the_score(source, workdir):
    config = files.load(workdir)
    config.score.name = "ssim"
    config.score.smoothing = 2.0
    other = semad.load(workdir, config=config)
    own = semad.load(workdir)
    assert own.settings_.score.name is None
    assert not np.allclose(other.score_samples(source.test), own.score_samples(source.test))
    assert other.thresholds_ != own.thresholds_
    assert other.anomaly_map(source.test[0]).max() <= 2  # 1 - SSIM


def test_what_cannot_be_loaded(detector, workdir, tmp_path):
    with pytest.raises(UserError, match="no run here"):
        semad.load(tmp_path)
    config = files.load(workdir)
    config.score.member = 1
    with pytest.raises(UserError, match="the run has 1 members, from 0 on"):
        semad.load(workdir, config=config)
    config.score.member = -1
    config.seed = 5
    with pytest.raises(UserError, match=r"config\.seed"):
        semad.load(workdir, config=config)


def test_a_workdir_without_normal_images_says_what_to_do(workdir):
    path = workdir / "normal.npz"
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(UserError, match="--mode train"):
        semad.load(workdir)
    path.write_bytes(kept[:100])
    with pytest.raises(UserError, match="damaged"):
        semad.load(workdir)
    path.write_bytes(kept)


def test_thresholds_are_cached(source, workdir, monkeypatch):
    path = workdir / "calibration.json"
    first = semad.load(workdir).thresholds_
    assert path.is_file()
    config = files.load(workdir)
    config.score.pixel_rate = 0.5
    assert semad.load(workdir, config=config).thresholds_ != first  # of these settings
    assert semad.load(workdir).thresholds_ == first
    again = semad.load(workdir)
    monkeypatch.setattr(semad.Detector, "_maps", None)  # not needed any more
    assert again.thresholds_ == first
    path.write_text("{")
    with pytest.raises(TypeError):  # damaged: it is made again
        semad.load(workdir).thresholds_  # noqa: B018


def test_a_choice_without_labels(config, source, tmp_path, monkeypatch):
    chosen = config.copy_and_resolve_references()
    chosen.select = "synthetic"
    fitted = semad.Detector(chosen, tmp_path).fit(source.train)
    ranking = fitted.selection_["ranking"]
    assert fitted.selection_["chosen"] == ranking[0]
    assert ranking[0]["value"] >= fitted.selection_["runner_up"]["value"] >= ranking[-1]["value"]
    settings = fitted.settings_.score
    assert (settings.name, settings.smoothing) == (ranking[0]["score"], ranking[0]["smoothing"])
    assert fitted.config.score.name is None  # the argument is left alone
    monkeypatch.setattr("semad.inference.kept_choices.select", None)  # cached: not chosen again
    again = semad.load(tmp_path)
    assert again.selection_ == fitted.selection_
    np.testing.assert_array_equal(
        again.score_samples(source.test), fitted.score_samples(source.test)
    )
    monkeypatch.undo()
    monkeypatch.setattr("semad.inference.kept_choices.VERSION", -1)  # by another validator: anew
    chosen_again = []
    monkeypatch.setattr(
        "semad.inference.kept_choices.select",
        lambda *given, **named: chosen_again.append(given) or fitted.selection_,
    )
    assert semad.load(tmp_path).selection_ == fitted.selection_
    assert len(chosen_again) == 1


def test_settings_that_make_no_map(workdir):
    for key, value, says in (
        ("stride", 17, "stride is 17"),
        ("threshold_rule", "transductive", "normal_quantile"),
    ):
        config = files.load(workdir)
        config.score[key] = value
        with pytest.raises(UserError, match=says):
            semad.load(workdir, config=config)


def test_a_score_that_is_not_finite_is_no_verdict(source, workdir):
    broken = semad.load(workdir)
    (member,) = broken.members_
    weights = jax.tree.map(lambda leaf: leaf * np.nan, member.weights)
    broken.members_ = [member._replace(weights=weights)]
    with pytest.raises(UserError, match="not finite"):
        broken.predict(source.test)


def test_fit_leaves_its_arguments_alone(config, source):
    before = flatten(config)
    semad.Detector(config).fit(source.train[:2])
    assert flatten(config) == before


def test_fitting_other_images_into_a_workdir_is_refused(config, source, workdir, detector):
    with pytest.raises(UserError, match="other training images"):
        semad.Detector(config, workdir).fit(source.train[:2])


@pytest.mark.parametrize("method", ["score_samples", "predict", "anomaly_map"])
def test_unfitted(config, method, source):
    with pytest.raises(NotFittedError):
        getattr(semad.Detector(config), method)(source.test[0][None])
    with pytest.raises(ValueError, match="no config"):
        semad.Detector().fit(source.train)


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_mixin_order",
    ],
)
def test_the_checks_of_scikit_learn_that_ask_for_no_table(check, config):
    """The others fit tables of (samples, features), which are no images."""
    getattr(estimator_checks, check)("Detector", semad.Detector(config))


@pytest.fixture(scope="module")
def items():
    """8×8 digits: images of class 0 are normal."""
    trained = {"train__epochs": 40, "model__width": 0.25}
    config = tiny.config("autoencoder", score__pooling="mean", data__normal_class=0, **trained)
    assert config.data.normalisation == "auto"
    source = sources.load(resolve(config).data)
    images = [*source.train[:24], *(i for i, v in zip(source.test, source.labels) if v)][:36]  # noqa: B905
    return config, np.stack(images), np.repeat([0, 1], [24, 12])


def test_items_score_as_whole_patches(items):
    """By the mean, a one-patch image scores what the system says of the patch."""
    config, images, labels = items
    fitted = semad.Detector(config).fit(images, labels)
    assert all(one.shape == (16, 16, 1) for one in fitted.normal_.images)
    assert fitted.method_.normalisation == "range"  # items, as `digits` are by name
    values = fitted.anomaly_map(images[0])
    assert values.shape == (16, 16)  # padded to a patch
    assert fitted.score_samples(images[:1])[0] == pytest.approx(values.mean(), rel=1e-5)


def test_a_larger_image_is_mapped(items):
    config, images, labels = items
    fitted = semad.Detector(config).fit(images, labels)
    wide = np.tile(images[0, ..., 0], (4, 5))
    assert fitted.anomaly_map(wide).shape == wide.shape
    with pytest.raises(ValueError, match="no image of class 0"):
        semad.Detector(config).fit(images, ["normal"] * len(images))


def test_in_a_pipeline_under_cross_validation(items):
    """Only the normal images of each fold are trained on; digits are told from zeros."""
    config, images, labels = items
    pipeline = Pipeline(
        [("scale", FunctionTransformer(lambda x: x)), ("d", semad.Detector(config))]
    )
    scores = cross_val_score(pipeline, images, labels, scoring="roc_auc", cv=StratifiedKFold(2))
    assert scores.shape == (2,)
    assert scores.min() > 0.8
    assert clone(pipeline).named_steps["d"].config == config


def test_all_members_score_together(tmp_path):
    config = tiny.config("autoencoder", population__seeds=3, **SETTINGS)
    source = sources.load(resolve(config).data)
    together = semad.Detector(config, tmp_path).fit(source.train)
    maps = []
    for number in range(3):
        maps.append(semad.load(tmp_path, config=_of(tmp_path, number)).anomaly_map(source.test[0]))
    assert not np.allclose(maps[0], maps[1])
    np.testing.assert_allclose(
        together.anomaly_map(source.test[0]), np.mean(maps, axis=0), rtol=1e-4, atol=1e-6
    )


def _of(workdir, number):
    config = files.load(workdir)
    config.score.member = number
    return config


def test_members_that_differ_are_not_mixed(tmp_path):
    config = tiny.config("anogan", population__tricks="none,IN", **SETTINGS)
    with pytest.raises(UserError, match="set --config.score.member, from 0 to 1"):
        semad.Detector(config, tmp_path).fit(sources.load(resolve(config).data).train)
