"""Fibres as semad measures them, against the truth of images that semad draws.

python experiments/fibre_truth.py

It draws images under twelve conditions, measures them, and writes a JSON file, of which
`experiments/results.py table` makes the table of docs/fibres.md. The seeds, from 100 on, were not
looked at while the measurement was developed; those were 0 to 7.
"""

import json
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence
from paths import RESULTS
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import skeletonize

from semad import fibres
from semad.data.sources import nanofibres
from semad.fibres.tally import Summary, add, summarise
from semad.reports.tables import markdown_line
from semad.synthetic import fibre_defects
from semad.synthetic import fibres as drawing
from semad.synthetic.fibre_truth import Truth, visible

_FILE = RESULTS / "fibre_truth.json"
_SIZE, _SEEDS = 512, range(100, 108)
_USUAL = 5.0


class Condition(NamedTuple):
    """How images differ from the usual ones of `nanofibres`; None for as usual.

    Attributes:
      half_width: of fibres, pixels, times 0.75 to 1.25.
      density: of fibres, as it looks at the usual width.
      blur: σ in pixels, before the noise.
      noise: standard deviation that is added, a share of white.
      defects: the share of the image that defects take up.
    """

    half_width: float | None = None
    density: float | None = None
    blur: float = 0.0
    noise: float = 0.0
    defects: float = 0.0


CONDITIONS = {
    "as nanofibres": Condition(),
    "thin (6 px)": Condition(half_width=3.0),
    "very thin (4 px)": Condition(half_width=2.0),
    "thick (20 px)": Condition(half_width=10.0),
    "sparse": Condition(density=0.35),
    "dense": Condition(density=2.0),
    "blurred (σ 1.5)": Condition(blur=1.5),
    "very blurred (σ 2.5)": Condition(blur=2.5),
    "noisy (0.08)": Condition(noise=0.08),
    "very noisy (0.15)": Condition(noise=0.15),
    "defects (3 %)": Condition(defects=0.03),
    "many defects (15 %)": Condition(defects=0.15),
}


def draw(condition: Condition, seed: int) -> tuple[np.ndarray, np.ndarray, Truth, Truth]:
    """An image (H, W), its mask, and what is true where fibres are whole, and where centres are."""
    rng = Generator(PCG64(SeedSequence(seed, spawn_key=(0, 0))))
    look = drawing.sample_look(rng)
    half_width = condition.half_width or look.half_width
    density = condition.density or look.density
    if condition.half_width:
        density *= min(1.0, _USUAL / half_width)
    look = look._replace(half_width=half_width, density=density)
    canvas = nanofibres.draw(rng, _SIZE, condition.defects > 0, look)
    if condition.defects:
        on_top = list(canvas.fibres[-len(canvas.fibres) // 4 :])
        canvas = fibre_defects.scatter(canvas, rng, on_top, condition.defects)
    blurred = ndimage.gaussian_filter(canvas.image, condition.blur)
    image = drawing.develop(canvas._replace(image=blurred), rng).astype(float)
    image += 255 * condition.noise * rng.standard_normal(image.shape)
    pixels = image.round().clip(0, 255).astype(np.uint8)
    return pixels, canvas.defect > 0.5, visible(canvas), visible(canvas, whole=False)


def plain(image: np.ndarray) -> np.ndarray:
    """Diameters by Otsu's threshold and twice the distance transform on the skeleton."""
    smooth = ndimage.gaussian_filter(image.astype(float), 1.0)
    bright = smooth > threshold_otsu(smooth)
    return 2 * ndimage.distance_transform_edt(bright)[skeletonize(bright)]


def run() -> dict[str, Any]:
    """Everything that is measured, by condition."""
    return {name: _condition(condition) for name, condition in CONDITIONS.items()}


def _condition(condition: Condition) -> dict[str, Any]:
    images, measured, simple = [], [], []
    truths: list[list[Truth]] = [[], []]
    for seed in _SEEDS:
        image, mask, whole, centres = draw(condition, seed)
        start = time.process_time()
        result = fibres.measure(image, mask)
        seconds = time.process_time() - start
        measured.append(result)
        simple.append(plain(image))
        for known, truth in zip(truths, (whole, centres), strict=True):
            known.append(truth)
        summaries = {"with": summarise(result.counts), "without": summarise(result.clean_counts)}
        images.append(
            {"seed": seed, "fibrous": result.fibrous, "seconds": round(seconds, 3)}
            | {f"{key}_defects": _compared(value, whole) for key, value in summaries.items()}
        )
    whole, centres = (_together(known) for known in truths)
    counts = {
        "with_defects": summarise(add([one.counts for one in measured])),
        "without_defects": summarise(add([one.clean_counts for one in measured])),
    }
    together = {key: _compared(summary, whole) for key, summary in counts.items()}
    return {
        "condition": condition._asdict(),
        "true_quartiles": _quartiles(whole.diameters),
        "true_quartiles_of_centres": _quartiles(centres.diameters),
        "true_porosity": round(whole.porosity, 4),
        "plain_quartiles": _quartiles(np.concatenate(simple)),
        "together": together,
        "images": images,
    }


def _together(truths: list[Truth]) -> Truth:
    return Truth(
        np.concatenate([truth.diameters for truth in truths]),
        np.concatenate([truth.angles for truth in truths]),
        float(np.mean([truth.porosity for truth in truths])),
    )


def _quartiles(values: np.ndarray) -> list[float]:
    return [round(float(value), 3) for value in np.percentile(values, [25, 50, 75])]


def _compared(summary: Summary, truth: Truth) -> dict[str, Any]:
    """A measurement and its relative errors; of order and porosity the differences."""
    lower, median, upper = _quartiles(truth.diameters)
    found = summary.diameter
    order = abs(np.exp(2j * np.radians(truth.angles)).mean())
    if found.median is None or found.lower is None or found.upper is None:
        return {}
    return {
        "quartiles": [round(value, 3) for value in (found.lower, found.median, found.upper)],
        "median_error": round(found.median / median - 1, 4),
        "iqr_error": round((found.upper - found.lower) / (upper - lower) - 1, 4),
        "order_error": round((summary.order or 0.0) - float(order), 4),
        "porosity_error": round((summary.porosity or 0.0) - truth.porosity, 4),
        "length_share": round(found.samples / len(truth.diameters), 3),
    }


def table() -> str:
    """The recorded results in Markdown."""
    results = json.loads(_FILE.read_text())
    head = (
        *("condition", "true median", "IQR", "measured median", "IQR", "median's error"),
        *("IQR's error", "per image: median", "IQR", "length", "Otsu and distance transform"),
    )
    lines = [markdown_line(head), markdown_line(["---"] * len(head))]
    for name, result in results.items():
        lower, median, upper = result["true_quartiles"]
        for key in ("with_defects", "without_defects"):
            if key == "with_defects" and not result["condition"]["defects"]:
                continue
            found = result["together"][key]
            low, middle, high = found["quartiles"]
            images = [one[key] for one in result["images"] if one["fibrous"]]
            mean = {
                error: np.mean([abs(image[error]) for image in images])
                for error in ("median_error", "iqr_error")
            }
            said = {"with_defects": ", left in", "without_defects": ", left out"}[key]
            cells = (
                name + (said if result["condition"]["defects"] else ""),
                *(f"{median:.2f}", f"{upper - lower:.2f}", f"{middle:.2f}", f"{high - low:.2f}"),
                *(f"{100 * found[error]:+.1f} %" for error in ("median_error", "iqr_error")),
                *(f"{100 * mean[error]:.1f} %" for error in ("median_error", "iqr_error")),
                f"{100 * found['length_share']:.0f} %",
                f"{100 * (result['plain_quartiles'][1] / median - 1):+.0f} %",
            )
            lines.append(markdown_line(cells))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    _FILE.write_text(json.dumps(run(), indent=1) + "\n")
