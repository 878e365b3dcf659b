"""Latents, reconstructions and scores of an array of your own, by the networks of a trained run.

python examples/restore_and_encode.py runs/bigan
python examples/restore_and_encode.py runs/bigan images.npy
"""

import sys

import numpy as np

import semad
from semad.errors import UserError


def main(workdir: str, path: str | None = None) -> None:
    """Prints shapes and scores; the run's data are not needed, and nothing is trained."""
    model = semad.restore(workdir)
    size = model.system.settings.data.patch_size
    # Images are patches, (N, P, P): uint8, uint16, or floating point in [0, 1]. Noise by default.
    images = np.load(path) if path else np.random.default_rng(0).random((16, size, size))
    for function in (model.encode, model.reconstruct):
        try:
            print(f"{function.__name__}: {function(images).shape}")
        except UserError as error:  # not every system has latents and reconstructions
            print(error)
    for name, values in model.score(images).items():
        print(f"{name}: {values.mean():.4f}, the highest {values.max():.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
