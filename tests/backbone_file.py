"""A file of weights as timm has them for `tf_efficientnet_lite0`, drawn at random."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

STAGES = (  # outputs, kernel, stride, blocks, expansion (Tan and Le 2019, table 1)
    (16, 3, 1, 1, 1),
    (24, 3, 2, 2, 6),
    (40, 5, 2, 2, 6),
    (80, 3, 2, 3, 6),
    (112, 5, 1, 3, 6),
)


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """All that the network reads, and a layer of those behind it."""
    random = np.random.default_rng(seed)
    made = {}

    def layer(name: str, norm: str, *shape: int) -> None:
        spread = np.sqrt(2 / np.prod(shape[1:]))
        made[f"{name}.weight"] = random.normal(0, spread, shape).astype(np.float32)
        for part, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -0.2, 0.2),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 1.5),
        ):
            values = random.uniform(low, high, shape[0])
            made[f"{norm}.{part}"] = values.astype(np.float32)

    layer("conv_stem", "bn1", 32, 3, 3, 3)
    inputs = 32
    for stage, (outputs, size, _, blocks, expansion) in enumerate(STAGES):
        for number in range(blocks):
            at, wide = f"blocks.{stage}.{number}", inputs * expansion
            if expansion == 1:
                layer(f"{at}.conv_dw", f"{at}.bn1", wide, 1, size, size)
                layer(f"{at}.conv_pw", f"{at}.bn2", outputs, wide, 1, 1)
            else:
                layer(f"{at}.conv_pw", f"{at}.bn1", wide, inputs, 1, 1)
                layer(f"{at}.conv_dw", f"{at}.bn2", wide, 1, size, size)
                layer(f"{at}.conv_pwl", f"{at}.bn3", outputs, wide, 1, 1)
            inputs = outputs
    made["classifier.bias"] = np.zeros(1000, np.float32)
    return made


def write(path: Path, seed: int = 0) -> Path:
    """The file, which `config.model.backbone` takes."""
    save_file(tensors(seed), path)
    return path
