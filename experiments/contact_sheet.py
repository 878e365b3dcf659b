"""A sheet of every nth overlay of a `pixel` evaluation, chosen by index and not by looks.

python experiments/contact_sheet.py runs/quickstart/evaluation/pixel/maps --every 3 --output s.png
"""

import argparse
from pathlib import Path

from PIL import Image

_GAP = 6  # pixels


def sheet(paths: list[Path], columns: int, width: int) -> Image.Image:
    """Images side by side, row by row, each scaled to `width` pixels."""
    images = [Image.open(path).convert("RGB") for path in paths]
    images = [image.resize((width, width * image.height // image.width)) for image in images]
    height = max(image.height for image in images)
    rows = -(-len(images) // columns)
    size = (columns * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP)
    whole = Image.new("RGB", size, "white")
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        whole.paste(image, (column * (width + _GAP), row * (height + _GAP)))
    return whole


def main() -> None:
    """Writes the sheet, and prints which images are on it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("maps", type=Path, help="the folder with the overlays")
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    paths = sorted(arguments.maps.glob("*.png"))[:: arguments.every]
    sheet(paths, arguments.columns, arguments.width).save(arguments.output)
    print(*(path.stem for path in paths))


if __name__ == "__main__":
    main()
