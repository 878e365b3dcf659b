"""What a few outlines teach: the detector before and after, on images that nobody outlined.

python experiments/teaching.py --workdir runs/tiles --output runs/teaching --kinds crack,uneven
python experiments/teaching.py --workdir runs/fibres --output runs/teaching --test-images 60

The run's own data are used. Of each kind of defect (the folder of a test image; `defect` where the
data has no folders) the first images by name are outlined by their masks, as a user would: one,
two, five of them, and a run is taught with each (`--mode teach`). All are compared on the same
images, those that none of them was taught with. With `--record` the result is kept in
`experiments/results/teaching_<name>.json`; the file of a data set takes the kinds of several calls.
`experiments/results.py table` makes the table of docs/teaching.md.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from paths import RESULTS
from PIL import Image
from sklearn import metrics

import semad
from semad import commandline
from semad.config import files
from semad.config.settings import resolve, with_values
from semad.data import sources
from semad.data.source import Source
from semad.inference.detector import Detector
from semad.reports.tables import markdown_line
from semad.teaching.teach import teach
from semad.utils.files import write_text


class Images(NamedTuple):
    """Test images: `kinds` has "good" or the kind of defect of each."""

    pixels: list[np.ndarray]
    masks: list[np.ndarray]
    kinds: list[str]
    names: list[str]


def main() -> None:
    """Teaches and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--workdir", type=Path, required=True, help="a trained run")
    parser.add_argument("--output", type=Path, required=True, help="takes the taught runs")
    parser.add_argument("--kinds", default="", help="of defects; all")
    parser.add_argument("--counts", default="1,2,5", help="of outlined images")
    parser.add_argument("--test-images", type=int, help="nanofibres: how many are drawn")
    parser.add_argument("--record", help="keep the result as results/teaching_<name>.json")
    arguments = parser.parse_args()
    commandline.setup_logging()
    with commandline.one_line_errors():
        made = {"command": " ".join(["python", *sys.argv])} | compare(arguments)
        write_text(arguments.output / "teaching.json", json.dumps(made, indent=1) + "\n")
        if arguments.record:
            record(made, RESULTS / f"teaching_{arguments.record}.json")


def record(made: dict[str, Any], path: Path) -> None:
    """Keeps a result beside those of other kinds; effects by file stay with the taught runs."""
    kept = json.loads(path.read_text()) if path.is_file() else {"commands": {}, "kinds": {}}
    for rows in made["kinds"].values():
        for row in rows.values():
            row.get("effect", {}).pop("outlines", None)
    commands = kept["commands"] | dict.fromkeys(made["kinds"], made["command"])
    whole = {"commands": commands, "kinds": kept["kinds"] | made["kinds"]}
    write_text(path, json.dumps(whole, indent=1) + "\n")


def table() -> str:
    """The recorded results in Markdown: the kind that was outlined, and all others."""
    head = (
        *("data, kind", "outlines", "that kind: pixels AUROC", "AP", "image AUROC", "flagged"),
        *("other kinds: pixels AUROC", "AP", "good ones flagged", "planted defects: AP"),
    )
    lines = [markdown_line(head), markdown_line(["---"] * len(head))]
    for path in sorted(RESULTS.glob("teaching_*.json")):
        name = path.stem.removeprefix("teaching_")
        for kind, rows in json.loads(path.read_text())["kinds"].items():
            for count, row in rows.items():
                lines.append(markdown_line(_cells(f"{name}, {kind}", count, row, kind)))
    return "\n".join(lines) + "\n"


def _cells(name: str, count: str, row: dict[str, Any], kind: str) -> list[str]:
    taught, others, good = row[kind], row.get("others"), row["good"]
    planted = row.get("effect", {}).get("planted", {}).get("all")
    return [
        *(name, count, f"{taught['pixel_auroc']:.3f}"),
        *(f"{taught['pixel_average_precision']:.3f}", f"{taught['image_auroc']:.3f}"),
        f"{taught['flagged']} of {taught['images']}",
        f"{others['pixel_auroc']:.3f}" if others else "–",
        f"{others['pixel_average_precision']:.3f}" if others else "–",
        f"{good['flagged']} of {good['images']}",
        f"{planted['before']:.3f} → {planted['after']:.3f}" if planted else "–",
    ]


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures before, and after each number of outlines of each kind."""
    config = files.load(arguments.workdir)
    data = resolve(config).data
    if arguments.test_images:
        data = with_values(resolve(config), {"data.test_images": arguments.test_images}).data
    images = _images(sources.load(data))
    counts = [int(count) for count in arguments.counts.split(",")]
    kinds = arguments.kinds.split(",") if arguments.kinds else sorted({*images.kinds} - {"good"})
    made: dict[str, Any] = {"kinds": {}}
    before = semad.load(arguments.workdir)
    for kind in kinds:
        defective = [i for i, name in enumerate(images.kinds) if name == kind]
        rest = [i for i in range(len(images.kinds)) if i not in defective[: max(counts)]]
        rows = {"0": _figures(before, images, rest, kind)}
        for count in counts:
            folder = arguments.output / f"{kind}_{count}"
            outline(images, defective[:count], folder / "outlined")
            record = teach(arguments.workdir, config, folder / "outlined", folder / "run")
            figures = _figures(semad.load(folder / "run"), images, rest, kind)
            rows[str(count)] = figures | {"effect": record["effect"]}
        made["kinds"][kind] = rows
    return made


def _images(source: Source) -> Images:
    kinds = []
    for name, label in zip(source.test_ids, source.labels, strict=True):
        folder, slash, _ = name.rpartition("/")
        kinds.append((folder if slash else "defect") if label else "good")
    masks = [np.zeros(1, bool) if mask is None else mask for mask in source.masks]
    return Images(list(source.test), masks, kinds, list(source.test_ids))


def outline(images: Images, chosen: Sequence[int], folder: Path) -> None:
    """Writes images and their masks as a user would lay them out."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in chosen:
        name = images.names[number].replace("/", "_")
        stem = Path(name).stem
        Image.fromarray(images.pixels[number].squeeze()).save(folder / f"{stem}.png")
        mask = images.masks[number].astype(np.uint8) * 255
        Image.fromarray(mask).save(folder / f"{stem}_mask.png")


def _figures(
    detector: Detector, images: Images, rest: Sequence[int], taught: str
) -> dict[str, Any]:
    """By kind, against the good images: pixels, images, and how many are flagged.

    `others` are all kinds but the one that is taught.
    """
    maps = {i: detector.anomaly_map(images.pixels[i]) for i in rest}
    scores = {i: detector.score_map(maps[i]) for i in rest}
    good = [i for i in rest if images.kinds[i] == "good"]
    limit = detector.thresholds_.image
    flagged = int(sum(scores[i] > limit for i in good))
    figures: dict[str, Any] = {"good": {"images": len(good), "flagged": flagged}}
    defective = [i for i in rest if images.kinds[i] != "good"]
    groups = {
        kind: [i for i in defective if images.kinds[i] == kind]
        for kind in sorted({images.kinds[i] for i in defective})
    }
    groups["others"] = [i for i in defective if images.kinds[i] != taught]
    for kind, mine in groups.items():
        if not mine:
            continue
        labels = np.concatenate([images.masks[i].ravel() for i in (*mine, *good)])
        values = np.concatenate([maps[i].ravel() for i in (*mine, *good)])
        anomalous = np.arange(len(mine) + len(good)) < len(mine)
        pooled = [scores[i] for i in (*mine, *good)]
        figures[kind] = {
            "images": len(mine),
            "pixel_auroc": float(metrics.roc_auc_score(labels, values)),
            "pixel_average_precision": float(metrics.average_precision_score(labels, values)),
            "image_auroc": float(metrics.roc_auc_score(anomalous, pooled)),
            "flagged": int(sum(scores[i] > limit for i in mine)),
        }
    return figures


if __name__ == "__main__":
    main()
