"""Every shared knob, with the thesis' value (appendix A) as default.

The presets are sizes of the same experiment: `thesis` as written, for an accelerator; `medium`, a
quarter of its channels and a tenth of its steps, for all systems in a night on two cores; `small`
for ten minutes; `smoke` for one minute, on embedded data, to see that all works.
"""

import ml_collections
from ml_collections import config_dict

PRESETS = ("thesis", "medium", "small", "smoke")


def get_config(preset: str) -> ml_collections.ConfigDict:
    if preset not in PRESETS:
        raise ValueError(f"no preset {preset!r}; there are {', '.join(PRESETS)}")
    config = ml_collections.ConfigDict()
    config.method = ""  # key of semad.methods.METHODS
    config.preset = preset  # for the record; changing it here changes nothing
    config.seed = 0  # every random number of a run follows from it

    config.population = ml_collections.ConfigDict()
    config.population.seeds = 1  # members trained together, seeded seed, seed + 1, ...
    config.population.tricks = "none"  # or all, or a list such as IN,SL+LF: each with every seed
    config.population.points = ""  # or values, as lr.generator=1e-4;lr.generator=2e-4: with each
    config.population.together = 0  # members in one program, bounds memory; 0: by backend

    config.data = _data()
    config.model = _model()
    config.lr = ml_collections.ConfigDict()  # one learning rate per net; each system names its own
    config.optim = ml_collections.ConfigDict()
    config.optim.beta1 = 0.5  # Adam
    config.optim.beta2 = 0.999
    config.train = _train()
    config.score = _score()
    config.select = "none"  # or synthetic: score, smoothing, pooling that find planted defects best
    config.eval = ml_collections.ConfigDict()
    config.eval.protocol = "auto"  # thesis_tiles | pixel | one_class; auto: what suits
    config.eval.checkpoint = "newest"  # or best: by config.train.validation
    config.eval.purpose = config_dict.placeholder(str)  # nanotwice: why, for the ledger of looks
    config.eval.max_items = 0  # score a seeded subset of the items (pixel: images); 0: all
    config.eval.max_holdout_items = 0  # the same for the held-out normal patches
    if preset != "thesis":
        config.train.ema_share = 0.002
        {"medium": _medium, "small": _small, "smoke": _smoke}[preset](config)
    return config


def _data() -> ml_collections.ConfigDict:
    data = ml_collections.ConfigDict()
    data.name = "nanotwice"  # nanotwice | nanofibres | folder | digits | tfds:<name>
    data.dir = config_dict.placeholder(str)  # where the data is, or goes
    data.verify = True  # nanotwice: compare the files with their published checksums
    data.channels = 1  # 1 (grey) or 3
    data.patch_size = 32  # 16, 32, 64 or 128 pixels
    # What networks see: each patch by its mean and deviation (standardise), or [-1, 1] (range).
    data.normalisation = "auto"  # standardise for micrographs, range for one-vs-rest items
    data.crops_per_image = 10_240  # fixed random crops of each normal image, per epoch
    data.crops = 0  # instead, so many crops of all images together, however many there are; 0: off
    data.holdout = 0.2  # share of the normal data kept from training: thresholds come from it
    data.flips = config_dict.placeholder(bool)  # unset: for micrographs, not for oriented items
    data.protocol = "one_class_normal"  # or one_class_anomalous: who trains, in one-vs-rest sets
    data.normal_class = 0  # one_class_normal: the class that trains
    data.anomalous_class = 0  # one_class_anomalous: the class that does not
    data.seed = 0  # nanofibres: which images are drawn
    data.train_images = 8  # nanofibres
    data.test_images = 16  # nanofibres: half of them free of anomalies
    data.image_size = 256  # nanofibres: height and width
    return data


def _model() -> ml_collections.ConfigDict:
    model = ml_collections.ConfigDict()
    model.width = 1.0  # multiplies every channel count of the tables
    model.latent_dim = 256
    model.leaky_slope = 0.2
    model.bn_momentum = 0.8  # running = 0.8 · running + 0.2 · batch
    model.bn_epsilon = 1e-3  # added to variances, as TensorFlow does by default
    model.init = "normal"  # kernels: normal (0, 0.02) | xavier
    return model


def _train() -> ml_collections.ConfigDict:
    train = ml_collections.ConfigDict()
    train.batch_size = 64
    train.epochs = 50
    train.ema = 0.999  # decay of the average of the weights used at test time
    # Its largest window, as a share of the phase's steps so far: .999 is reached after 40,000 of
    # them. At the short presets' rates weights move so fast that a wider one makes BiGAN's encoder
    # a constant (docs/reproduction.md).
    train.ema_share = 0.025
    train.log_every = 100  # steps
    train.image_every = 1_000  # steps between sample images in TensorBoard
    train.checkpoint_every = 1_000  # steps
    train.validate_every = 1_000  # steps between validations on held-out normal images; 0: never
    train.validation = "reconstruction"  # keeps the best; or synthetic, or planted_tiles
    return train


def _score() -> ml_collections.ConfigDict:
    score = ml_collections.ConfigDict()
    score.name = config_dict.placeholder(str)  # unset: the system's own default
    score.weights = "ema"  # those averaged over training; or raw, as the optimiser left them
    score.member = -1  # in use: which of the population scores; -1: the mean of all members' maps
    score.stride = 16  # pixels between tiles, or between the patches that a map is blended of
    score.flips = False  # means over four mirror images, where training saw them: four times slower
    score.window = 0  # convolutional systems: pixels that are mapped at once; 0: by patches
    # Maps: σ in pixels of a Gaussian filter over them; chosen by experiments/choose_smoothing.py.
    score.smoothing = 8.0
    score.pooling = "max"  # an image's score from its map: max (of min_area pixels) | mean
    score.min_area = 20  # pixels of the smallest defect
    score.chunk = 0  # patches per call and device, bounds memory; 0: by backend
    score.threshold_rule = "normal_quantile"  # or transductive: a quantile of the *test* scores
    score.threshold_rate = 0.05  # of false positives among normal tiles and images
    score.pixel_rate = 0.05  # the same among the pixels of a map: how far outlines reach
    score.nm_per_pixel = config_dict.placeholder(float)  # unset: as the microscope's tags say
    score.data_bar = 0  # rows at the bottom to leave out of what is scored; -1: by the tags
    return score


def _medium(config: ml_collections.ConfigDict) -> None:
    config.model.width = 0.25
    config.train.epochs = 6  # of 800 steps, where the thesis has 50


def _small(config: ml_collections.ConfigDict) -> None:
    config.data.crops_per_image = 2_048
    config.model.width = 0.25
    config.train.epochs = 6
    config.train.checkpoint_every = 500
    config.train.validate_every = 100
    config.train.image_every = 500


def _smoke(config: ml_collections.ConfigDict) -> None:
    config.data.name = "nanofibres"
    config.data.train_images = 4
    config.data.test_images = 4
    config.data.image_size = 128
    config.data.crops_per_image = 256
    config.model.width = 0.0625
    config.model.latent_dim = 16
    config.train.batch_size = 32
    config.train.epochs = 2
    config.train.log_every = 8
    config.train.image_every = 32
    config.train.checkpoint_every = 32
    config.train.validate_every = 16
