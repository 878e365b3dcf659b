"""What configs may hold: choices, ranges, and which keys make a run another run."""

from typing import Any

from semad.data.normalisation import NORMALISATIONS
from semad.evaluation.validator import SELECTIONS
from semad.losses import RESIDUALS
from semad.methods import METHODS, anogan, autoencoder, ebgan, encebgan, fanogan, ganomaly
from semad.methods.common import REDUCTIONS
from semad.nets.layers import INITIALIZERS
from semad.nets.thesis import PATCH_SIZES
from semad.scoring.regions import POOLINGS

CHOICES: dict[str, tuple[Any, ...]] = {
    "method": tuple(METHODS),
    "data.channels": (1, 3),
    "data.patch_size": PATCH_SIZES,
    "data.normalisation": ("auto", *NORMALISATIONS),
    "data.protocol": ("one_class_normal", "one_class_anomalous"),
    "model.init": tuple(INITIALIZERS),
    "score.threshold_rule": ("normal_quantile", "transductive"),
    "score.weights": ("ema", "raw"),
    "score.pooling": POOLINGS,
    "select": SELECTIONS,
    "score.degree": (1, 2),
    "search.recipe": tuple(anogan.RECIPES),
    "search.discrimination": ("features", "cross_entropy"),
    "search.precision": ("float32", "bfloat16"),
    "model.form": autoencoder.FORMS,
    "loss.reconstruction": tuple(RESIDUALS),
    "loss.adversarial_term": ganomaly.ADVERSARIAL_TERMS,
    "loss.reduction": REDUCTIONS,
    "train.validation": ("reconstruction", "synthetic", "planted_tiles"),
    "eval.checkpoint": ("newest", "best"),
    "eval.protocol": ("auto", "thesis_tiles", "pixel", "one_class"),
}

# Keys whose choices depend on the method.
CHOICES_BY_METHOD: dict[str, dict[str, tuple[str, ...]]] = {
    "loss.objective": {"fanogan": tuple(fanogan.OBJECTIVES)}
    | dict.fromkeys(("ebgan", "encebgan", "sencebgan"), ebgan.OBJECTIVES),
    "loss.encoder_objective": {"fanogan": fanogan.ENCODER_OBJECTIVES}
    | dict.fromkeys(("encebgan", "sencebgan"), encebgan.ENCODER_OBJECTIVES),
}

# (lowest, highest), both allowed; None is no limit.
RANGES: dict[str, tuple[float | None, float | None]] = {
    "seed": (0, 2**31 - 1),
    "population.seeds": (1, None),
    "population.together": (0, None),
    "data.crops_per_image": (1, None),
    "data.crops": (0, None),
    "data.holdout": (0.01, 0.9),
    "data.train_images": (1, None),
    "data.test_images": (2, None),
    "data.image_size": (64, None),
    "model.width": (0.001, None),
    "model.latent_dim": (1, None),
    "model.leaky_slope": (0, 1),
    "model.bn_momentum": (0, 1),
    "model.bn_epsilon": (1e-12, 1),
    "optim.beta1": (0, 0.9999999),
    "optim.beta2": (0, 0.9999999),
    "train.batch_size": (2, None),
    "train.epochs": (0, None),
    "train.encoder_epochs": (0, None),
    "train.return_epochs": (0, None),
    "train.density_epochs": (0, None),
    "model.components": (1, None),
    "train.ema": (0, 0.9999999),
    "train.ema_share": (0, 1),
    "train.log_every": (1, None),
    "train.image_every": (1, None),
    "train.checkpoint_every": (1, None),
    "train.validate_every": (0, None),
    "score.member": (-1, None),
    "score.stride": (1, None),
    "score.chunk": (0, None),
    "score.window": (0, None),
    "score.smoothing": (0, 100),
    "score.min_area": (1, None),
    "score.nm_per_pixel": (1e-6, None),
    "score.data_bar": (-1, None),
    "score.threshold_rate": (0.0, 1.0),
    "score.pixel_rate": (0.0, 1.0),
    "score.reconstruction_weight": (0.0, 1.0),
    "loss.critic_updates": (1, None),
    "loss.generator_updates": (1, None),
    "loss.noise": (0, None),
    "loss.clip": (0, None),
    "loss.contextual": (0, None),
    "loss.consistency": (0, None),
    "loss.feature_matching": (0, None),
    "splices.cutpaste": (0, None),
    "splices.texture": (0, None),
    "splices.generated": (0, None),
    "splices.sheet": (0, None),
    "search.steps": (0, None),
    "search.lr": (0, 10),
    "search.tolerance": (0, 1),
    "search.restarts": (0, None),
    "search.weight": (0, 1),
    "search.together": (0, None),
    "eval.max_items": (0, None),
    "eval.max_holdout_items": (0, None),
}

# Keys whose type cannot be read off a stored null.
OPTIONAL = {
    "data.dir": str,
    "data.flips": bool,
    "score.name": str,
    "score.nm_per_pixel": float,
    "search.steps": int,
    "search.lr": float,
    "search.tolerance": float,
    "eval.purpose": str,
}

# Keys younger than some workdirs, with the value that leaves an old run what it was.
ADDED: dict[str, Any] = {
    "data.crops": 0,
    "data.normalisation": "range",
    "model.bn_epsilon": 1e-5,
    "train.ema_share": 1 / 9,
    "score.weights": "ema",
    "population.points": "",
    "population.together": 0,
    "score.window": 0,
    "score.flips": False,
    "eval.purpose": None,
    "train.validation": "reconstruction",
    "score.member": -1,
    "score.smoothing": 0.0,
    "score.pooling": "max",
    "score.min_area": 20,
    "score.nm_per_pixel": None,
    "score.data_bar": 0,
    "select": "none",
    "splices.sheet": 0.0,
    "search.recipe": "published",
    "search.tolerance": None,
    "search.restarts": 0,
    "search.together": 0,
    "search.precision": "float32",
}
ADDED_BY_METHOD: dict[str, dict[str, Any]] = {"anogan": {"train.encoder_epochs": 0}}

# Systems whose networks changed when the finished thesis was followed: a run without the key
# data.normalisation is of the others, and its weights do not fit these.
REBUILT = ("ali", "bigan", "ebgan", "encebgan", "ganomaly", "sencebgan", "skip_ganomaly")

# Of the phases in their order; a run may go on with more epochs of its last one.
EPOCHS = ("train.epochs", "train.encoder_epochs", "train.return_epochs", "train.density_epochs")

# What a run may change when it goes on or is evaluated; anything else makes it another run.
FREE = (
    "select",
    "eval.",
    "score.",
    "search.",
    "population.together",
    "data.dir",
    "data.verify",
    "preset",
    "train.log_every",
    "train.image_every",
    "train.checkpoint_every",
    "train.validate_every",
    "train.validation",
)
