"""Scores images by the model in this folder: `python score.py image.png ... [--maps folder]`.

Needs NumPy, SciPy, Pillow, and onnxruntime or, for score.stablehlo, JAX; semad is not needed. It
prints the score and the verdict of each file, and with --maps writes its map, float32 (H, W), as
.npy. Files are .npy, PNG, TIFF or what else Pillow reads: uint8 or uint16 of the full range,
without a data bar. `load`, `anomaly_map` and `image_score` can be imported.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

Patches = Callable[[np.ndarray], np.ndarray]
"""float32 (N, P, P, C) in [0, 1] -> the map of each, (N, P, P); N is `patches` of model.json."""


def load(folder: Path) -> tuple[dict[str, Any], Patches]:
    """What model.json says, and the artefact as a function."""
    model = json.loads((folder / "model.json").read_text())
    path = folder / model["artefact"]
    if model["format"] == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return model, lambda patches: session.run(["map"], {"patches": patches})[0]
    import jax

    exported = jax.export.deserialize(bytearray(path.read_bytes()))
    function = jax.jit(exported.call)
    return model, lambda patches: np.asarray(function(patches)["map"])


def anomaly_map(image: np.ndarray, model: dict[str, Any], patches: Patches) -> np.ndarray:
    """The mean over the levels of the image's pyramid, then smoothed: (H, W).

    Args:
      image: (H, W) or (H, W, C) with the C of model.json; uint8 or uint16.
      model, patches: of `load`.
    """
    size = model["patch_size"]
    image = image.reshape(*image.shape[:2], -1)
    if model["items"] and max(image.shape[:2]) <= size:
        lacking = [size - length for length in image.shape[:2]]
        image = np.pad(image, [*((n // 2, n - n // 2) for n in lacking), (0, 0)])
    if image.shape[2] != model["channels"] or min(image.shape[:2]) < size:
        raise SystemExit(f"images must have {model['channels']} channels and {size} pixels a side")
    height, width = image.shape[:2]
    levels = model["map"]["levels"]
    values = np.zeros((height, width), np.float32)
    for level in range(levels):
        lacking = [(0, max(0, size - length)) for length in image.shape[:2]]
        padded = np.pad(image, (*lacking, (0, 0)), mode="symmetric")
        part = blended(padded, model, patches)[: image.shape[0], : image.shape[1]]
        if level:
            part = ndimage.zoom(part, 2**level, order=1, mode="nearest", grid_mode=True)
        values += part[:height, :width] / levels
        image = halved(image)
    return ndimage.gaussian_filter(values, model["map"]["smoothing"], mode="reflect")


def halved(image: np.ndarray) -> np.ndarray:
    """Means of blocks of 2×2 pixels: (⌈H/2⌉, ⌈W/2⌉, C)."""
    odd = [(0, length % 2) for length in image.shape[:2]]
    even = np.pad(image, (*odd, (0, 0)), mode="edge").astype(np.float32)
    rows, columns = (length // 2 for length in even.shape[:2])
    blocks = even.reshape(rows, 2, columns, 2, -1)
    return np.rint(blocks.mean(axis=(1, 3))).astype(image.dtype)


def blended(image: np.ndarray, model: dict[str, Any], patches: Patches) -> np.ndarray:
    """Means over overlapping patches of an image (H, W, C), weighted by Hann's window: (H, W).

    With `alternate` every patch is mirrored before it is scored, its map after that: by turns.
    """
    size, stride, count = model["patch_size"], model["map"]["stride"], model["patches"]
    starts = [
        sorted({*range(0, length - size + 1, stride), length - size}) for length in image.shape[:2]
    ]
    turn = model["map"]["alternate"]
    corners = [
        (top, left, (-1 if turn and i % 2 else 1, -1 if turn and j % 2 else 1))
        for i, top in enumerate(starts[0])
        for j, left in enumerate(starts[1])
    ]
    ramp = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    weight = np.outer(ramp, ramp).astype(np.float32)
    sums, weights = np.zeros((2, *image.shape[:2]), np.float32)
    for first in range(0, len(corners), count):
        part = corners[first : first + count]
        cut = [
            image[top : top + size, left : left + size][::down, ::right]
            for top, left, (down, right) in part
        ]
        full = np.stack(cut + cut[-1:] * (count - len(cut)))
        values = patches(full * np.float32(1 / np.iinfo(image.dtype).max))
        for (top, left, (down, right)), value in zip(part, values, strict=False):
            sums[top : top + size, left : left + size] += value[::down, ::right] * weight
            weights[top : top + size, left : left + size] += weight
    return sums / weights


def area_level(values: np.ndarray, area: int) -> float:
    """The highest level that a connected region of `area` pixels of a map reaches as a whole."""
    levels = np.unique(values)
    low, high = 0, len(levels)  # the whole image reaches its minimum
    while high - low > 1:
        middle = (low + high) // 2
        labels, _ = ndimage.label(values >= levels[middle], np.ones((3, 3)))
        reached = np.bincount(labels.ravel())[1:].max() >= area
        low, high = (middle, high) if reached else (low, middle)
    return float(levels[low])


def image_score(values: np.ndarray, model: dict[str, Any]) -> float:
    """The score of an image from its map; anomalous above `thresholds.image` of model.json."""
    about = model["image"]
    highest = np.sort(values, axis=None)[-max(1, round(0.03 * values.size)) :]
    levels = {
        "max": lambda: area_level(values, about["min_area"]),
        "top": lambda: float(highest.mean(dtype=np.float64)),
        "mean": lambda: float(values.mean(dtype=np.float64)),
    }
    if about["scales"] is None:
        return levels[about["pooling"]]()
    both = zip((levels["max"](), levels["top"]()), *about["scales"], strict=True)
    return max((level - location) / scale for level, location, scale in both)


def main() -> None:
    """Scores the files of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--maps", type=Path)
    arguments = parser.parse_args()
    model, patches = load(Path(__file__).resolve().parent)
    print("file,score,verdict")
    for path in arguments.files:
        image = np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))
        values = anomaly_map(image, model, patches)
        score = image_score(values, model)
        verdict = "anomalous" if score > model["thresholds"]["image"] else "normal"
        print(f"{path},{score:.6g},{verdict}")
        if arguments.maps:
            arguments.maps.mkdir(parents=True, exist_ok=True)
            np.save(arguments.maps / f"{path.name}.npy", values)


if __name__ == "__main__":
    main()
