"""Trains a detector on NumPy arrays, and scores, maps and outlines new images.

python examples/train_on_arrays.py

It takes a minute or two on two CPU cores. The networks are tiny, so that all can be tried at once;
take the preset `small` for results.
"""

import ml_collections
import numpy as np

import semad
from semad.configs import recommended
from semad.data.sources.nanofibres import render


def draw_images(
    count: int, size: int, anomalous: bool, seed: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Micrographs that semad draws, uint8 (size, size), with the masks of their defects.

    They stand for images of your own: any list of arrays (H, W) or (H, W, C), of any sizes.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    images, masks = zip(*(render(rng, size, anomalous) for _ in range(count)), strict=True)
    return list(images), list(masks)


def main(
    config: ml_collections.ConfigDict, workdir: str | None = None, size: int = 128
) -> semad.Detector:
    """Fits, and prints what the detector says of normal and of anomalous images."""
    good, _ = draw_images(20, size, anomalous=False, seed=0)
    # Of ten images or more every fifth is kept from training, and the thresholds come from these.
    detector = semad.Detector(config, workdir).fit(good)
    thresholds = detector.thresholds_
    print(f"thresholds: {thresholds.image:.3f} of an image, {thresholds.pixel:.3f} of a pixel")
    for anomalous in (False, True):
        print("new images with defects:" if anomalous else "new normal images:")
        images, masks = draw_images(3, size, anomalous, seed=1)
        scores, verdicts = detector.score_samples(images), detector.predict(images)
        for image, mask, score, verdict in zip(images, masks, scores, verdicts, strict=True):
            values = detector.anomaly_map(image)  # float32, as large as the image
            found = detector.segment(image)  # bool; empty where the score is below the threshold
            print(
                f"score {score:.3f}, called {('normal', 'anomalous')[verdict]}; "
                f"map up to {values.max():.3f}; {found.sum()} pixels outlined, "
                f"{(found & mask).sum()} of them among the {mask.sum()} of defects"
            )
    return detector


if __name__ == "__main__":
    example = recommended.get_config("smoke")
    example.model.width, example.train.epochs = 0.125, 4  # a little more than the preset has
    # With a workdir, as in main(example, "runs/arrays"), the run is kept for semad.load.
    main(example)
