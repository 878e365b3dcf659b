"""Every config key, one row each: default, type, range or choices, help, what may change when.

Validation, the defaults of `configs/common.py`, older workdirs, "is it the same run?", `--help` and
docs/configs.md derive from these rows. Defaults are the thesis' values (appendix A). A row whose
default is `ABSENT` belongs to the systems whose file in `configs/` sets it.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, ClassVar

from semad.config.knob import ABSENT, Section, knob

TRICKS = ("none", "IN", "SL", "LF", "IN+SL", "IN+LF", "SL+LF", "IN+SL+LF")
"""Combinations of training tricks (thesis, section 5.5)."""

_FORMATS = ("coco", "labelme", "imagej")
DEFECT_FORMATS = tuple(
    "+".join(names) for count in (1, 2, 3) for names in combinations(_FORMATS, count)
)
"""Combinations of formats of defects; see `semad.inference.defect_files`."""
_RESIDUALS = ("l1", "l2", "ssim")
_ENERGY_OBJECTIVES = ("margin", "wgan", "wgan_gp")
_ENERGY_ENCODERS = ("decodings", "embeddings", "energy")


_MOST_STEPS = 2**31 - 1
"""Steps are counted in 32 bits."""


class PopulationSettings(Section):
    """Who trains together: `config.population`."""

    seeds: int = knob(1, "members trained together, seeded seed, seed + 1, ...", low=1, high=1_024)
    tricks: str = knob(
        "none", f"combinations of training tricks, each with every seed: all, or a list of {TRICKS}"
    )
    points: str = knob(
        "",
        "values in which members differ, as lr.generator=1e-4;lr.generator=2e-4, each with every "
        "seed and combination of tricks",
        older="",
    )
    together: int = knob(
        0,
        "members in one program, bounds memory; 0: by backend and width",
        low=0,
        high=1_024,
        changeable=True,
        older=0,
    )


class DataSettings(Section):
    """What images, and which patches of them: `config.data`."""

    name: str = knob("nanotwice", "nanotwice | nanofibres | folder | digits | tfds:<name>")
    dir: str | None = knob(None, "where the data is, or goes", changeable=True)
    verify: bool = knob(
        True, "nanotwice: compare files with their published checksums", changeable=True
    )
    channels: int = knob(1, "1 (grey) or 3 (RGB)", choices=(1, 3))
    patch_size: int = knob(32, "height and width of a patch, pixels", choices=(16, 32, 64, 128))
    data_bar: int = knob(
        -1,
        "rows at the bottom left out of every image, in training and in use; -1: by its tags",
        low=-1,
        high=65_536,
        changeable=True,
    )
    bit_depth: int = knob(
        0,
        "bits that 16-bit files use; 0: as their tags say, or else as the training images' values",
        low=0,
        high=16,
        changeable=True,
        older=16,
    )
    pages: str = knob(
        "single",
        "of files with several pages: none is taken (single), each is an image (each), or a number",
        changeable=True,
        older="single",
    )
    follow_links: bool = knob(
        False,
        "also read what links in a folder of images point to, outside of it",
        changeable=True,
        older=False,
    )
    normalisation: str = knob(
        "auto",
        "what networks see: each patch by its mean and deviation (standardise), or [-1, 1] "
        "(range); auto: standardise for micrographs, range for one-vs-rest items",
        choices=("auto", "range", "standardise"),
        older="range",
    )
    crops_per_image: int = knob(
        10_240, "fixed random crops of each normal image, per epoch", low=1, high=1_000_000
    )
    crops: int = knob(
        0,
        "instead, crops of all images together, however many there are; 0: off",
        low=0,
        high=100_000_000,
        older=0,
    )
    borders: float = knob(
        0.0,
        "share of a patch by which crops' places reach beyond an image, from where they are moved "
        "to its border; 0: borders are seldom seen",
        low=0,
        high=1,
        older=0.0,
    )
    pyramid: int = knob(
        1,
        "micrographs: levels of the image pyramid that are trained on and mapped; 1: images as "
        "they are, 2: also at half of their size, where a patch sees more of them",
        low=1,
        high=4,
        older=1,
    )
    holdout: float = knob(
        0.2,
        "share of the normal data kept from training, for thresholds and validation",
        low=0.01,
        high=0.9,
    )
    flips: bool | None = knob(
        None, "random mirror images in training; unset: for micrographs, not for oriented items"
    )
    protocol: str = knob(
        "one_class_normal",
        "one-vs-rest sets: the one class is normal and trains, or is the anomalous one",
        choices=("one_class_normal", "one_class_anomalous"),
    )
    normal_class: int = knob(0, "one_class_normal: the class that trains", low=0, high=1_000_000)
    anomalous_class: int = knob(
        0, "one_class_anomalous: the class that does not train", low=0, high=1_000_000
    )
    seed: int = knob(0, "nanofibres: which images are drawn", low=0, high=2**31 - 1)
    train_images: int = knob(8, "nanofibres: training images", low=1, high=10_000)
    test_images: int = knob(
        16, "nanofibres: test images, half of them free of anomalies", low=2, high=10_000
    )
    image_size: int = knob(
        256, "nanofibres: height and width of an image, pixels", low=64, high=16_384
    )


class ModelSettings(Section):
    """Networks: `config.model`."""

    width: float = knob(
        1.0, "multiplies every channel count of the thesis' tables", low=0.001, high=64
    )
    latent_dim: int = knob(256, "length of the latent z", low=1, high=65_536)
    leaky_slope: float = knob(0.2, "slope of the leaky ReLU below zero", low=0, high=1)
    bn_momentum: float = knob(
        0.8, "batch norm: running = momentum · running + (1 − momentum) · batch", low=0, high=1
    )
    bn_epsilon: float = knob(
        1e-3,
        "batch norm: added to variances, as by default in TensorFlow",
        low=1e-12,
        high=1,
        older=1e-5,
    )
    init: str = knob(
        "normal", "of kernels: normal (0, 0.02) or xavier", choices=("normal", "xavier")
    )
    spectral_norm: bool = knob(ABSENT, "spectral normalisation of the networks that have it")
    allow_xx: bool = knob(ABSENT, "ALAD's discriminator of (x, x) against (x, G(E(x)))")
    allow_zz: bool = knob(ABSENT, "ALAD's discriminator of (z, z) against (z, E(G(z)))")
    form: str = knob(
        ABSENT, "of the autoencoder", choices=("undercomplete", "regularised", "denoising")
    )
    components: int = knob(
        ABSENT,
        "Gaussians in the mixture",
        low=1,
        high=1_024,
        older_of={"dense_discriminator": 8},
    )
    backbone: str = knob(
        ABSENT,
        "file of an EfficientNet-lite0's weights, whose features the dense discriminator sees too; "
        "empty: none",
        older_of={"dense_discriminator": ""},
    )


class OptimSettings(Section):
    """Adam: `config.optim`; learning rates are `config.lr.<net>`."""

    beta1: float = knob(0.5, "decay of the first moment", low=0, high=0.9999999)
    beta2: float = knob(0.999, "decay of the second moment", low=0, high=0.9999999)


class TrainSettings(Section):
    """Training: `config.train`."""

    batch_size: int = knob(64, "patches per batch", low=2, high=65_536)
    epochs: int = knob(50, "of the first phase", low=0, high=_MOST_STEPS)
    encoder_epochs: int = knob(
        ABSENT, "of the phase `encoder`", low=0, high=_MOST_STEPS, older_of={"anogan": 0}
    )
    return_epochs: int = knob(ABSENT, "of the phase `return`", low=0, high=_MOST_STEPS)
    density_epochs: int = knob(
        ABSENT,
        "of the phase `density`; 0: without one",
        low=0,
        high=_MOST_STEPS,
        older_of={"dense_discriminator": 0},
    )
    teaching_epochs: int = knob(
        ABSENT,
        "of the phase `teaching`, which --mode teach adds",
        low=0,
        high=_MOST_STEPS,
        older_of={"dense_discriminator": 0},
    )
    cooldown: float = knob(
        0.0,
        "share of a phase, at its end, over which the learning rates fall linearly to 0; not of "
        "the phase `teaching`, whose weights are averaged over all of it",
        low=0,
        high=1,
        older=0.0,
    )
    ema: float = knob(
        0.999, "decay of the average of the weights used at test time", low=0, high=0.9999999
    )
    ema_share: float = knob(
        0.025,
        "largest window of that average, as a share of the phase's steps so far (a decay of .999 "
        "is reached after 40,000 steps)",
        low=0,
        high=1,
        older=1 / 9,
    )
    log_every: int = knob(
        100, "steps between lines of the log", low=1, high=_MOST_STEPS, changeable=True
    )
    image_every: int = knob(
        1_000,
        "steps between sample images in TensorBoard",
        low=1,
        high=_MOST_STEPS,
        changeable=True,
    )
    checkpoint_every: int = knob(
        1_000, "steps between checkpoints", low=1, high=_MOST_STEPS, changeable=True
    )
    checkpoint_minutes: float = knob(
        10.0,
        "a checkpoint also when so much time has passed since the last; 0: by steps alone",
        low=0,
        high=1e6,
        changeable=True,
        older=10.0,
    )
    validate_every: int = knob(
        1_000,
        "steps between validations on held-out normal images; 0: never",
        low=0,
        high=_MOST_STEPS,
        changeable=True,
    )
    validation: str = knob(
        "reconstruction",
        "the measure by which the best checkpoint is kept",
        choices=("reconstruction", "synthetic", "planted_tiles"),
        changeable=True,
        older="reconstruction",
    )


class ScoreSettings(Section):
    """Scores, maps and thresholds: `config.score`."""

    changeable: ClassVar[bool] = True

    name: str | None = knob(None, "the score that results are about; unset: the system's default")
    weights: str = knob(
        "ema",
        "those averaged over training (ema), or as the optimiser left them (raw)",
        choices=("ema", "raw"),
        older="ema",
    )
    member: int = knob(
        -1,
        "which member of the population scores; -1: the mean of all members",
        low=-1,
        high=1_000_000,
        older=-1,
    )
    stride: int = knob(
        16,
        "pixels between tiles, or between the patches that a map is blended of",
        low=1,
        high=65_536,
    )
    flips: str = knob(
        "none",
        "mirror images, where training saw them: all four of each patch, and their mean (all, four "
        "times slower), or one of the four for each patch, by turns (alternate, maps only)",
        choices=("none", "all", "alternate"),
        older="none",
    )
    window: int = knob(
        0,
        "convolutional systems: pixels that are mapped at once; 0: by patches",
        low=0,
        high=65_536,
        older=0,
    )
    smoothing: float = knob(
        8.0, "σ in pixels of a Gaussian filter over maps", low=0, high=100, older=0.0
    )
    pooling: str = knob(
        "max",
        "an image's score from its map: max (of min_area connected pixels), top (mean of the "
        "highest 3 % of the pixels), mean, or several (max or top, whichever is more unusual)",
        choices=("max", "top", "mean", "several"),
        older="max",
    )
    min_area: int = knob(20, "pixels of the smallest defect", low=1, high=2**31 - 1, older=20)
    chunk: int = knob(
        0, "patches per call and device, bounds memory; 0: by backend", low=0, high=2**20
    )
    threshold_rule: str = knob(
        "normal_quantile",
        "from held-out normal scores, or (transductive) a quantile of the *test* scores",
        choices=("normal_quantile", "transductive"),
    )
    threshold_rate: float = knob(
        0.05, "false positives among normal tiles and images", low=0.0, high=1.0
    )
    pixel_rate: float = knob(
        0.05, "false positives among the pixels of a map: how far outlines reach", low=0.0, high=1.0
    )
    nm_per_pixel: float | None = knob(
        None,
        "scale of new images; unset: as the microscope's tags say",
        low=1e-6,
        high=1e9,
        older=None,
    )
    formats: str = knob(
        "coco",
        "files of defects that --mode score writes beside its tables: COCO, labelme, ImageJ's ROIs",
        choices=("none", *DEFECT_FORMATS),
        older="coco",
    )
    fibres: bool = knob(
        False,
        "also measure the fibres of new images: diameters, directions, porosity, pores",
        older=False,
    )
    reconstruction_weight: float = knob(
        ABSENT, "weight of the residual in the score", low=0.0, high=1.0
    )
    degree: int = knob(ABSENT, "of the norms in the score", choices=(1, 2))

    @property
    def of_scores(self) -> dict[str, Any]:
        """What scores and thresholds depend on: all but what else is made of new images."""
        return {name: value for name, value in self if name not in ("formats", "fibres")}


class EvalSettings(Section):
    """Evaluation: `config.eval`."""

    changeable: ClassVar[bool] = True

    protocol: str = knob(
        "auto",
        "what is scored; auto: what suits the data and the system",
        choices=("auto", "thesis_tiles", "pixel", "one_class"),
    )
    checkpoint: str = knob("newest", "or best, by train.validation", choices=("newest", "best"))
    purpose: str | None = knob(None, "nanotwice: why, for the ledger of looks", older=None)
    max_items: int = knob(
        0, "score a seeded subset of the items (pixel: images); 0: all", low=0, high=2**31 - 1
    )
    max_holdout_items: int = knob(
        0, "the same for the held-out normal patches; 0: all", low=0, high=2**31 - 1
    )


class LossSettings(Section):
    """Loss terms of the systems: `config.loss`."""

    objective: str = knob(
        ABSENT,
        "GAN loss",
        choices={"fanogan": ("gan", "wgan", "wgan_gp")}
        | dict.fromkeys(("ebgan", "encebgan", "sencebgan"), _ENERGY_OBJECTIVES),
    )
    encoder_objective: str = knob(
        ABSENT,
        "loss of the encoder",
        choices={"fanogan": ("izi", "izi_f", "ziz")}
        | dict.fromkeys(("encebgan", "sencebgan"), _ENERGY_ENCODERS),
    )
    adversarial_term: str = knob(ABSENT, "of the generator", choices=("cross_entropy", "features"))
    reduction: str = knob(
        ABSENT, "of residuals: sum over pixels (thesis) or mean (papers)", choices=("sum", "mean")
    )
    reconstruction: str = knob(ABSENT, "distance of images", choices=_RESIDUALS)
    critic_updates: int = knob(ABSENT, "discriminator updates per step", low=1, high=100)
    generator_updates: int = knob(ABSENT, "generator updates per step", low=1, high=100)
    margin: float = knob(ABSENT, "m of equation 3.7, an energy", low=0)
    clip: float = knob(ABSENT, "wgan: largest absolute weight of the discriminator", low=0)
    penalty: float = knob(ABSENT, "wgan_gp: λ, weight of the gradient penalty", low=0, traced=True)
    pull_away: float = knob(ABSENT, "weight of equation 3.8", low=0, traced=True)
    similarity: float = knob(ABSENT, "weight of ‖Enc(x) − Enc(G(z))‖₂", low=0, traced=True)
    consistency: float = knob(
        ABSENT, "weight of the discriminator's term in the encoder's loss", low=0, traced=True
    )
    feature_matching: float = knob(
        ABSENT, "weight of feature matching in the generator's loss", low=0, traced=True
    )
    adversarial: float = knob(ABSENT, "weight of the adversarial term", low=0, traced=True)
    contextual: float = knob(ABSENT, "weight of the residual term", low=0, traced=True)
    encoder: float = knob(ABSENT, "weight of the latent term", low=0, traced=True)
    latent: float = knob(ABSENT, "weight of the feature term", low=0, traced=True)
    kappa: float = knob(ABSENT, "weight of the features, in loss and score", low=0, traced=True)
    beta: float = knob(ABSENT, "weight of the divergence, 2σ²", low=0, traced=True)
    noise: float = knob(ABSENT, "denoising: σ of the noise on the input", low=0, traced=True)
    sparsity: float = knob(ABSENT, "weight of the code's mean absolute value", low=0, traced=True)


class SearchSettings(Section):
    """AnoGAN's search for latents: `config.search`."""

    changeable: ClassVar[bool] = True

    recipe: str = knob(
        ABSENT,
        "start from E(x) (encoder), or from one draw of N(0, I) (published, annealed)",
        choices=("published", "annealed", "encoder"),
        older="published",
    )
    steps: int | None = knob(
        ABSENT, "most evaluations of the gradient; unset: the recipe's", low=0, high=1_000_000
    )
    lr: float | None = knob(ABSENT, "of Adam; unset: the recipe's", low=0, high=10)
    tolerance: float | None = knob(
        ABSENT,
        "least gain of five steps, as a share; unset: the recipe's",
        low=0,
        high=1,
        older=None,
    )
    restarts: int = knob(
        ABSENT, "further starts from N(0, I); the best end counts", low=0, high=1_000, older=0
    )
    weight: float = knob(ABSENT, "λ, weight of the discrimination term", low=0, high=1)
    discrimination: str = knob(ABSENT, "what λ weighs", choices=("features", "cross_entropy"))
    together: int = knob(
        ABSENT,
        "latents that move at once, bounds memory; 0: by backend",
        low=0,
        high=2**20,
        older=0,
    )
    precision: str = knob(
        ABSENT,
        "of the search alone, not of the score",
        choices=("float32", "bfloat16"),
        older="float32",
    )


class SpliceSettings(Section):
    """Synthetic anomalies: how often each source is spliced into a batch in relation to the others,
    and what is done to whole images: `config.splices`."""

    cutpaste: float = knob(ABSENT, "parts of other images", low=0, high=1e6)
    texture: float = knob(ABSENT, "random fields", low=0, high=1e6)
    generated: float = knob(ABSENT, "what a generator makes; 0: no generator", low=0, high=1e6)
    sheet: float = knob(ABSENT, "random fields behind what is brighter", low=0, high=1e6, older=0.0)
    cracks: float = knob(
        ABSENT, "share of all images with thin dark lines on top", low=0, high=1, older=0.0
    )
    varied: float = knob(
        ABSENT,
        "share of all images whose brightness and contrast vary",
        low=0,
        high=1,
        older=0.0,
    )


RATE = knob(ABSENT, "learning rate of the net", kind=float, low=0, high=10, traced=True)
"""The row of every `lr.<net>`."""

SECTIONS: Mapping[str, type[Section]] = {
    "population": PopulationSettings,
    "data": DataSettings,
    "model": ModelSettings,
    "optim": OptimSettings,
    "train": TrainSettings,
    "score": ScoreSettings,
    "eval": EvalSettings,
    "loss": LossSettings,
    "search": SearchSettings,
    "splices": SpliceSettings,
}


for _name, _section in SECTIONS.items():
    _section.section = f"{_name}."


class Settings(Section):
    """A whole config, resolved: its sections, `lr` (net -> learning rate) and the keys without one.

    `semad.config.settings.resolve` makes it; nothing below takes a ConfigDict.
    """

    method: str = knob("", "the system, a key of semad.methods.METHODS")
    preset: str = knob("", "for the record; changing it here changes nothing", changeable=True)
    seed: int = knob(0, "every random number of a run follows from it", low=0, high=2**31 - 1)
    select: str = knob(
        "none",
        "choose score, smoothing and pooling by synthetic anomalies in held-out normal images",
        choices=("none", "synthetic"),
        changeable=True,
        older="none",
    )

    population: PopulationSettings
    data: DataSettings
    model: ModelSettings
    optim: OptimSettings
    train: TrainSettings
    score: ScoreSettings
    eval: EvalSettings
    loss: LossSettings
    search: SearchSettings
    splices: SpliceSettings
    lr: Mapping[str, float]
