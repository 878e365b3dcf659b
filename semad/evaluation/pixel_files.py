"""scores.npz and the figures of an evaluation of pixels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from semad import pictures, plots
from semad.metrics import pixels

_HISTOGRAM_PIXELS = 200_000
_CASES = 2  # best and as many worst


class TestImages(NamedTuple):
    """The test images that are mapped: all, or a seeded subset.

    Attributes:
      images: (H, W, C) each.
      masks: bool (H, W) each, True where anomalous.
      ids: their names.
    """

    images: list[np.ndarray]
    masks: list[np.ndarray]
    ids: list[str]


class PixelFiles(NamedTuple):
    """Writes into a folder."""

    folder: Path

    def save_counts(self, ids: Sequence[str], counts: dict[str, pixels.Counts]) -> None:
        """scores.npz: the pixels' scores of every member and baseline, counted in bins."""
        pixels.save(self.folder / "scores.npz", ids, counts)

    def draw_curves(self, counts: dict[str, pixels.Counts]) -> None:
        """roc.png and pr.png, the first one strong."""
        curves = {name: pixels.curve(member_counts) for name, member_counts in counts.items()}
        plots.roc(self.folder / "roc.png", curves)
        plots.precision_recall(self.folder / "pr.png", curves)

    def draw_maps(
        self,
        test: TestImages,
        maps: list[np.ndarray],
        holdout: list[np.ndarray],
        limit: float,
        name: str,
    ) -> None:
        """Overlays, and a histogram of a fixed share of the pixels.

        Args:
          test: the test images.
          maps: of them, (H, W) each.
          holdout: of the held-out normal images.
          limit: the pixels' threshold.
          name: of the score.
        """
        (self.folder / "maps").mkdir()
        for image, mask, key, values in zip(test.images, test.masks, test.ids, maps, strict=True):
            path = self.folder / "maps" / f"{key.replace('/', '_')}.png"
            pictures.overlay(path, image, mask, values > limit)
        labels, values, normal = (
            np.concatenate([part.ravel() for part in parts])
            for parts in (test.masks, maps, holdout)
        )
        every = 1 + len(values) // _HISTOGRAM_PIXELS
        plots.histogram(
            self.folder / "histogram.png",
            labels[::every],
            values[::every],
            normal[::every],
            limit,
            name,
        )

    def draw_cases(
        self, test: TestImages, maps: list[np.ndarray], rows: list[dict[str, Any]]
    ) -> None:
        """The images whose maps rank their own pixels best and worst, by average precision."""
        ranked = [i for i, row in enumerate(rows) if row["average_precision"] is not None]
        ranked.sort(key=lambda i: -rows[i]["average_precision"])
        chosen = dict.fromkeys(ranked[:_CASES] + ranked[-_CASES:])
        if chosen:
            cases = {
                f"{rows[i]['image']}: average precision {rows[i]['average_precision']:.3f}": (
                    test.images[i],
                    test.masks[i],
                    maps[i],
                )
                for i in chosen
            }
            plots.map_cases(self.folder / "cases.png", cases)
