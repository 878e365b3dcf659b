"""The embedded data set: procedural micrographs of electrospun fibres, with exact masks.

Made from a seed, nothing to download. Brightness, contrast, density and width of the fibres vary
from image to image, and defects are as bright as what surrounds them: neither a tile's mean nor
its standard deviation tells a defect. It is a substitute for trying things out, not a benchmark.
"""

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence

from semad.config.schema import DataSettings
from semad.data.images import to_channels
from semad.data.source import Source
from semad.errors import UserError
from semad.synthetic import fibre_defects as defects
from semad.synthetic import fibres

MIN_SIZE = 64
# Per layer of fibres, from the deepest to the top: its level (1 is nearest) and the blur after it.
LAYERS = ((0.1, 1.6), (0.4, 0.8), (0.75, 0.0))
TOP_LEVEL = 1.0


def load(data: DataSettings) -> Source:
    """Draws the data set of `config.seed`; every second test image holds defects.

    An image depends on the seed, its split and its number only, so more images leave the others
    as they are.

    Raises:
      UserError: a negative seed or count, no training image, or too small an `image_size`.
    """
    _check(data)
    size = data.image_size
    train = [render(_generator(data.seed, 0, i), size, False) for i in range(data.train_images)]
    labels = np.arange(data.test_images) % 2 == 1
    test = [render(_generator(data.seed, 1, i), size, bool(v)) for i, v in enumerate(labels)]
    return Source(
        name="nanofibres",
        train=[to_channels(image, data.channels) for image, _ in train],
        test=[to_channels(image, data.channels) for image, _ in test],
        masks=[mask for _, mask in test],
        labels=labels,
        train_ids=[f"train_{i:03d}" for i in range(data.train_images)],
        test_ids=[f"test_{i:03d}" for i in range(data.test_images)],
        micrographs=True,
        oriented=False,
    )


def render(rng: Generator, size: int, anomalous: bool) -> tuple[np.ndarray, np.ndarray]:
    """Draws one image.

    Returns:
      The image, `(size, size)` uint8, and its mask, bool of the same shape: True where more than
      half of what a pixel shows is a defect.
    """
    canvas = draw(rng, size, anomalous)
    return fibres.develop(canvas, rng), canvas.defect > 0.5


def draw(
    rng: Generator, size: int, anomalous: bool, look: fibres.Look | None = None
) -> fibres.Canvas:
    """Draws what one image shows, before the detector's gain and noise.

    Args:
      rng: for all that is random.
      size: height and width in pixels.
      anomalous: whether there are defects.
      look: of the fibres; None draws that too.
    """
    look = look or fibres.sample_look(rng)
    canvas = fibres.blank(size)
    for level, blur in LAYERS:
        layer = fibres.sample_layer(rng, size, look, level)
        canvas = fibres.draw_layer(canvas, layer, blur)
    share = rng.uniform(0.021, 0.034)
    if anomalous:
        for _ in range(_film_count(rng, size)):
            canvas = defects.film(canvas, rng)
    top = fibres.sample_layer(rng, size, look, TOP_LEVEL)
    canvas = fibres.draw_layer(canvas, top, blur=0.0)
    if anomalous:
        canvas = defects.scatter(canvas, rng, top, share)
    return canvas


def _film_count(rng: Generator, size: int) -> int:
    return round(rng.uniform(0.5, 2.5) * size * size / 256**2)


def _generator(seed: int, split: int, index: int) -> Generator:
    return Generator(PCG64(SeedSequence(seed, spawn_key=(split, index))))


def _check(data: DataSettings) -> None:
    least = {"seed": 0, "train_images": 1, "test_images": 0, "image_size": MIN_SIZE}
    for key, value in least.items():
        if getattr(data, key) < value:
            raise UserError(
                f"config.data.{key}={getattr(data, key)} is too small; give at least {value}"
            )
