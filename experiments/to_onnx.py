"""Writes the scoring of a trained run as ONNX, and checks it against semad.

pip install jax2onnx==0.17.1 onnxruntime
pip install "orbax-checkpoint>=0.12.8,<0.13"      # jax2onnx asks for an older one, but uses none
python experiments/to_onnx.py runs/bigan --output bigan.onnx

The graph takes patches (N, P, P, C), N free, and gives `map` (N, P, P) and every score (N,), as
`semad.inference.export.scoring_function` has them. A system that searches (AnoGAN) was not tried.
"""

import argparse
from pathlib import Path

import jax
import numpy as np
import onnx
import onnxruntime
from jax2onnx import to_onnx

import semad
from semad.commandline import one_line_errors
from semad.inference.export import scoring_function
from semad.utils import backend


def main() -> None:
    """Converts `workdir`, writes `--output`, and compares what both say of held-out patches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdir", type=Path, help="a trained run")
    parser.add_argument("--output", type=Path, default=Path("score.onnx"))
    arguments = parser.parse_args()
    # One Conv node each; the forms that are faster in JAX become many small nodes.
    backend.CPU = backend.CPU._replace(convolution="native", narrow_convolution="native")
    with one_line_errors():
        detector = semad.load(arguments.workdir)
    size = detector.settings_.data.patch_size
    patches = np.stack([image[:size, :size] for image in detector.normal_.holdout[:5]])
    expected = jax.device_get(scoring_function(detector)(patches))
    # jax2onnx wants constants that NumPy holds; the bare numbers of the key draw the same.
    detector.members_ = [
        member._replace(key=jax.random.key_data(member.key)) for member in detector.members_
    ]
    names = ["map", *sorted(expected["scores"])]  # in JAX's order of dicts
    model = to_onnx(
        scoring_function(detector),
        [jax.ShapeDtypeStruct(("N", *patches.shape[1:]), patches.dtype)],
        input_names=["patches"],
        output_names=names,
    )
    onnx.save(model, arguments.output)
    session = onnxruntime.InferenceSession(arguments.output, providers=["CPUExecutionProvider"])
    wanted = {"map": expected["map"]} | expected["scores"]
    for name, found in zip(names, session.run(names, {"patches": patches}), strict=True):
        np.testing.assert_allclose(found, wanted[name], rtol=1e-4, atol=1e-6, err_msg=name)
        difference = np.abs(found - wanted[name]).max()
        print(f"{name:20} {str(found.shape):16} largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
