"""A trained system in the manner of scikit-learn: `semad.load(workdir)`, `semad.Detector(config)`.

As everywhere in semad a higher score is more anomalous and 1 means anomalous. scikit-learn's own
outlier detectors have it the other way round; what is shared with a classifier of defects
(`decision_function` above 0 is class 1) makes `roc_auc` and the like come out right.
"""

import copy
import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from semad import pipeline
from semad.config.schema import Settings
from semad.config.settings import changeable, flatten, resolve, with_values
from semad.data import patches
from semad.data.arrays import Images, from_array, from_arrays, source_of
from semad.data.normal_images import NormalImages
from semad.errors import UserError
from semad.inference.kept_choices import TrainedRun, origin_of
from semad.run.population import members_in_use
from semad.run.prepare import Run, prepare
from semad.run.system import System, build, check_stride, scoring_state, with_settings
from semad.run.workdir import load_normal
from semad.run.workdir import restore as restore_state
from semad.scoring.batched import check_finite, ensemble, make_scorer, over_devices
from semad.scoring.calibration import Calibration
from semad.scoring.image_scores import ImageScorer
from semad.scoring.maps import map_images
from semad.scoring.rate_curves import RateCurves
from semad.scoring.regions import segment
from semad.scoring.thresholds import Thresholds
from semad.selection.select import apply_selection, in_words
from semad.types import Method, TrainState
from semad.utils.backend import in_float32
from semad.utils.versions import checksum

_log = logging.getLogger(__name__)


class Detector(BaseEstimator):
    """Learns normal images, and scores, maps and segments others.

    Args:
      config: such as `semad.configs.bigan.get_config("small")`; its data part matters for patches
        only. All that scoring depends on is in `config.score`.
      workdir: keeps the run as `main.py` would, so that `semad.load` and `main.py --mode score`
        work on it, and a stopped `fit` goes on; None trains in a temporary folder. Clones, as
        cross-validation makes them, train in `<workdir>/clones/`, in a folder for each config and
        each set of training images.

    Attributes:
      system_: the system that scores, with the choice of `config.select` made.
      members_: the weights and scalars that score, of one member or of all.
      settings_: what scores, with the choice of `config.select` made.
      selection_: that choice, see `semad.selection.select`; None where there was none to make.
      normal_: normal images, and what of them training saw.
      workdir_: of the run that was trained or loaded; None where it was temporary.
    """

    def __init__(
        self,
        config: ml_collections.ConfigDict | None = None,
        workdir: str | Path | None = None,
    ) -> None:
        """Only keeps the arguments, as scikit-learn wants it."""
        self.config = config
        self.workdir = workdir

    def __sklearn_tags__(self) -> Tags:
        """Takes images, not tables."""
        tags = super().__sklearn_tags__()
        tags.estimator_type = "outlier_detector"
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        tags.target_tags.required = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """The arguments and, once trained, the workdir, which is read again when unpickled.

        Raises:
          TypeError: for a detector that was trained without a workdir.
        """
        if "members_" not in self.__dict__:
            return super().__getstate__()
        if self.workdir_ is None:
            raise TypeError(
                "a Detector that was trained without a workdir cannot be pickled, since its "
                "networks are compiled functions; give it one, Detector(config, workdir), and keep "
                "that folder, or call semad.load(workdir) where it is needed"
            )
        trained = self.workdir_.resolve(), flatten(self._asked)
        return {"config": self.config, "workdir": self.workdir, "_trained": trained}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Reads a trained one from its workdir.

        Raises:
          UserError: when the workdir is no longer there.
        """
        if trained := state.pop("_trained", None):
            self.__dict__ |= load(*trained).__dict__
        super().__setstate__(state)

    @in_float32
    def fit(self, X: Images, y: np.ndarray | None = None) -> "Detector":
        """Trains on normal images.

        Args:
          X: see `score_samples`.
          y: (N,); where given, only the images of class 0 are trained on, so that
            `cross_val_score` may pass labels and no anomaly is learnt.

        Raises:
          ValueError: for images that `score_samples` would not take, or no config.
          UserError: for a bad config, or images that do not suit it.
        """
        if self.config is None:
            raise ValueError("no config; give one such as semad.configs.bigan.get_config('small')")
        settings = resolve(self.config)
        images = from_arrays(X, settings.data.channels)
        if y is not None:
            if np.shape(y) != (len(images),):
                raise ValueError(
                    f"y has the shape {np.shape(y)} for {len(images)} images; give a class for each"
                )
            images = [image for image, label in zip(images, y, strict=True) if label == 0]
            if not images:
                raise ValueError("y has no image of class 0, so there is none to train on")
        source = source_of(images, settings.data.patch_size)
        changes: dict[str, Any] = {"data.name": "arrays"}
        if settings.data.normalisation == "auto" and not source.micrographs:
            changes["data.normalisation"] = "range"  # as items of one-vs-rest sets
        system = build(with_values(settings, changes))
        check_makes_maps(system)  # before hours of training
        run = prepare(system, source)
        workdir = self._workdir_of(run)
        with tempfile.TemporaryDirectory(prefix="semad-") as temporary:
            state = pipeline.train(run, workdir or Path(temporary))
        return self._adopt(system, state, run.normal, workdir)

    def __sklearn_clone__(self) -> "Detector":
        """An untrained copy that knows that it is one; see `workdir`."""
        copied = type(self)(**copy.deepcopy(self.get_params(deep=False)))
        copied._is_clone = True
        return copied

    def _workdir_of(self, run: Run) -> Path | None:
        if self.workdir is None:
            return None
        if not getattr(self, "_is_clone", False):
            return Path(self.workdir)
        fixed = {key: value for key, value in flatten(run.settings).items() if not changeable(key)}
        about = json.dumps([fixed, checksum(run.source.train)], sort_keys=True)
        return Path(self.workdir) / "clones" / hashlib.sha256(about.encode()).hexdigest()[:16]

    def _adopt(
        self, system: System, state: TrainState, normal: NormalImages, workdir: Path | None
    ) -> "Detector":
        self.workdir_ = workdir
        self._asked = system.settings
        in_use = members_in_use(system.members, system.settings.score.member)
        self.members_ = [scoring_state(system, state, number) for number in in_use]
        self.normal_ = normal
        self._scorer = over_devices(ensemble(make_scorer(system.method, maps=True)))
        self._origin = origin_of(system, state, in_use, workdir)
        self.system_ = system
        self.selection_ = self._run.select(system)
        if self.selection_:
            _log.info("%s", in_words(system.settings, self.selection_))
            self.system_ = with_settings(system, apply_selection(system.settings, self.selection_))
        self.__dict__.pop("_calibrated", None)
        return self

    @property
    def _run(self) -> TrainedRun:
        return TrainedRun(self.members_, self.normal_, self.workdir_, self._origin)

    @cached_property
    @in_float32
    def _calibrated(self) -> Calibration:
        check_is_fitted(self, "members_")
        return self._run.calibrate(self.system_, self._maps)

    @property
    def settings_(self) -> Settings:
        """What scores, with the choice of `config.select` made."""
        return self.system_.settings

    @property
    def method_(self) -> Method:
        """The system's method."""
        return self.system_.method

    @property
    def thresholds_(self) -> Thresholds:
        """From normal images, when first asked for; see `semad.scoring.calibration`."""
        return self._calibrated.thresholds

    @property
    def scorer_(self) -> ImageScorer:
        """How a map becomes an image's score, by the same normal images."""
        return self._calibrated.scorer

    @property
    def curves_(self) -> RateCurves:
        """Thresholds of other rates of false positives; see `semad.scoring.rate_curves`."""
        assert self._calibrated.curves is not None  # `_calibrated` asks for them
        return self._calibrated.curves

    @property
    def calibration_(self) -> dict[str, Any]:
        """How the thresholds came about; see `semad.scoring.calibration.calibrate`."""
        return self._calibrated.record

    @in_float32
    def anomaly_map(self, image: np.ndarray) -> np.ndarray:
        """A score for every pixel: float32 (H, W).

        Args:
          image: (H, W) or (H, W, C), of any size from one patch up; dtypes as `score_samples`.

        Raises:
          ValueError: for another shape, dtype or range.
          UserError: for a score that is not finite.
        """
        check_is_fitted(self, "members_")
        return next(self._maps([from_array(image, self.settings_.data.channels)]))

    def segment(self, image: np.ndarray) -> np.ndarray:
        """The defects of an image: bool (H, W); see `semad.scoring.regions.segment`."""
        values = self.anomaly_map(image)
        return self.segment_map(values, self.score_map(values))

    def score_map(self, values: np.ndarray) -> float:
        """The score of an image from its `anomaly_map`; see `semad.scoring.image_scores`."""
        return self._calibrated.scorer(values)

    def segment_map(self, values: np.ndarray, score: float) -> np.ndarray:
        """The defects of an image from its `anomaly_map` and `score_map`: bool (H, W)."""
        return segment(values, score, self.thresholds_, self.settings_.score.min_area)

    @in_float32
    def score_samples(self, X: Images) -> np.ndarray:
        """The anomaly score of each image: float64 (N,), higher is more anomalous.

        Args:
          X: (N, H, W), (N, H, W, C), or a sequence of images of any sizes; uint8 or uint16, of
            which the whole range counts, or floating point in [0, 1].

        Raises:
          ValueError: for another shape, dtype or range.
        """
        check_is_fitted(self, "members_")
        images = from_arrays(X, self.settings_.data.channels)
        return np.array([self.score_map(values) for values in self._maps(images)])

    def decision_function(self, X: Images) -> np.ndarray:
        """`score_samples` minus the image threshold: (N,), above 0 where anomalous."""
        return self.score_samples(X) - self.thresholds_.image

    def predict(self, X: Images) -> np.ndarray:
        """int (N,): 1 where anomalous, at the threshold from normal images, else 0."""
        return (self.decision_function(X) > 0).astype(int)

    def _maps(self, images: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Maps of the score that counts, of images (H, W, C)."""
        plan, size = self.system_.scoring, self.settings_.data.patch_size
        if all(image.shape[:2] == (size, size) for image in self.normal_.images):
            # Trained on items: smaller ones are padded as those were.
            images = [
                image if max(image.shape[:2]) > size else patches.pad(image, size, "images")
                for image in images
            ]
        maps = map_images(
            self._scorer,
            self.members_,
            images,
            plan.tiling,
            smoothing=self.settings_.score.smoothing,
            names=(plan.score,),
        )
        for values in maps:
            check_finite(plan.score, values[plan.score])
            yield values[plan.score]


@in_float32
def load(workdir: str | Path, config: ml_collections.ConfigDict | None = None) -> Detector:
    """Restores a trained run; its data are not needed.

    Args:
      workdir: of a run that `main.py` or `Detector.fit` trained.
      config: the run's config with other values in `config.score`; None for its own.

    Raises:
      UserError: when there is no run, no checkpoint, or it does not fit the config; or for
        settings of the score that make no map.
    """
    workdir = Path(workdir)
    system = pipeline.stored_system(workdir, config)
    check_makes_maps(system)
    normal = load_normal(workdir)
    state = restore_state(workdir, system)
    return Detector(config, workdir)._adopt(system, state, normal, workdir)


def check_makes_maps(system: System) -> None:
    """Checks the settings of scores of a detector, which has no test data.

    Raises:
      UserError: for members that do not belong together, a map with gaps, or a threshold that
        would come from test scores.
    """
    members_in_use(system.members, system.settings.score.member)
    check_stride(system.settings)
    if system.settings.score.threshold_rule == "transductive":
        raise UserError(
            "config.score.threshold_rule=transductive takes the threshold from test scores, and "
            "there are none; set --config.score.threshold_rule=normal_quantile"
        )
