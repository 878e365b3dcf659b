"""The exported artefact, called where there is no semad."""

import json
import subprocess
import sys

import numpy as np
import pytest

import semad
from semad.config.settings import resolve
from semad.data import sources
from semad.data.patches import tile_items
from semad.errors import UserError
from semad.inference.export import export
from semad.scoring.batched import make_scorer
from semad.scoring.items import cut_items
from semad.scoring.thresholds import conformal
from tests import tiny

# Without semad: an import of it is an error.
LOAD = """
import sys
sys.modules["semad"] = None
import numpy as np
from jax import export
function = export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
patches = np.load(sys.argv[2])
found = function.call(patches)
np.savez(sys.argv[3], map=found["map"], **found["scores"])
"""


@pytest.mark.parametrize(
    "method", ["autoencoder", "bigan", "anogan", "dense_discriminator", "inpainting"]
)
def test_the_artefact_scores_the_same_in_a_process_without_semad(method, tmp_path):
    settings = {"data__name": "nanofibres", "data__image_size": 72, "data__crops_per_image": 16}
    config = tiny.config(method, score__window=0, **settings)
    source = sources.load(resolve(config).data)
    detector = semad.Detector(config).fit(source.train)
    assert export(detector, tmp_path / "a") == tmp_path / "a"
    count = 16 if method == "anogan" else 5
    patches = np.stack([image[:16, :16] for image in source.test] * 4)[:count]
    np.save(tmp_path / "patches.npy", patches)
    done = subprocess.run(
        [sys.executable, "-c", LOAD]
        + [str(tmp_path / name) for name in ("a/score.stablehlo", "patches.npy", "scores.npz")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (member,) = detector.members_
    expected = make_scorer(detector.method_, maps=True)(member, patches).scores
    about = json.loads((tmp_path / "a/model.json").read_text())
    with np.load(tmp_path / "scores.npz") as found:
        assert set(found) == set(expected) | {"map"}
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-5)
        # A map of one patch needs no blending, so the verdict on it can be had from the file.
        for values, patch in zip(found["map"], patches, strict=True):
            np.testing.assert_allclose(values, detector.anomaly_map(patch), rtol=1e-4, atol=1e-5)
    assert (about["patch_size"], about["channels"], about["dtype"]) == (16, 1, "uint8")
    assert about["patches"] == (count if method == "anogan" else None)
    assert about["value_range"] == [0, 255]
    assert about["thresholds"].keys() == {"patch", "pixel", "image", "core"}
    assert about["thresholds"]["image"] == detector.thresholds_.image
    assert about["image"] == detector.scorer_._asdict()
    held = detector.normal_.holdout
    tiles = cut_items(held, tile_items(held, 16, 16), 16)
    assert len(tiles) >= 16
    scores = np.concatenate(
        [
            make_scorer(detector.method_)(member, tiles[i : i + 16]).scores[about["score"]]
            for i in range(0, len(tiles), 16)
        ]
    )
    assert about["thresholds"]["patch"] == pytest.approx(conformal(scores, 0.05), rel=1e-4)
    assert about["score"] in expected
    export(detector, tmp_path / "a")
    assert (tmp_path / "a.1/model.json").is_file()  # nothing is overwritten
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").touch()
    with pytest.raises(UserError, match="something else"):
        export(detector, tmp_path / "run")
