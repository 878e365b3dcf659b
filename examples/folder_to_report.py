"""From a folder of good micrographs and one of new ones to verdicts, outlines and a report.

python examples/folder_to_report.py my_images new_images found

`my_images/train/good/` holds images without defects. It is what README's two commands do, for a
program that goes on with the results: here it prints each verdict and the largest defects.
"""

import csv
import sys
from pathlib import Path

import ml_collections

import semad
from semad import pipeline
from semad.configs import recommended
from semad.inference.inspection import inspect


def main(
    good: str,
    new: str,
    output: str,
    workdir: str = "runs/folder",
    config: ml_collections.ConfigDict | None = None,
) -> list[dict[str, str]]:
    """Trains unless that is done, inspects, and returns the rows of scores.csv."""
    config = config or recommended.get_config("small")
    config.data.name, config.data.dir = "folder", good
    run = pipeline.prepare_in(Path(workdir), config)
    pipeline.train(run, Path(workdir))  # goes on where it was stopped
    inspect(semad.load(workdir), Path(new), Path(output))  # images that are done are not done again
    rows = read(Path(output) / "scores.csv")
    for row in rows:
        print(f"{row['file']}: {row['verdict']} {row['score'] or row['error']}")
    for defect in largest(read(Path(output) / "defects.csv"), count=5):
        place = f"{defect['centroid_x']}, {defect['centroid_y']}"
        print(f"{defect['file']}: {defect['area_pixels']} pixels around {place}")
    print(f"report: {output}/report.html")
    return rows


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def largest(defects: list[dict[str, str]], count: int) -> list[dict[str, str]]:
    """The defects of the largest area."""
    return sorted(defects, key=lambda defect: -int(defect["area_pixels"]))[:count]


if __name__ == "__main__":
    main(*sys.argv[1:4])
