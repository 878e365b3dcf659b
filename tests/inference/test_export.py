"""The exported folder, used where there is no semad, and for ONNX no JAX either."""

import csv
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from PIL import Image

import semad
from semad.commandline import FORMATS
from semad.config.settings import resolve
from semad.data import sources
from semad.data.patches import tile_items
from semad.errors import UserError
from semad.inference import score
from semad.inference.export import _tiling, export
from semad.run.system import build
from semad.scoring.batched import make_scorer
from semad.scoring.image_scores import fitted, levels_of
from semad.scoring.items import cut_items
from semad.scoring.regions import area_level
from semad.scoring.thresholds import conformal
from semad.utils import backend
from tests import tiny

WITHOUT = """
import runpy, sys
_, absent, *sys.argv = sys.argv
for name in absent.split(","):
    sys.modules[name] = None  # an import of it is an error
runpy.run_path(sys.argv[0], run_name="__main__")
"""
ABSENT = {"onnx": "semad,jax", "stablehlo": "semad,onnxruntime"}
"""What a process lacks that uses a format."""

SYSTEMS = {
    "autoencoder": {"score__smoothing": 1.5, "score__pooling": "several", "score__min_area": 4},
    "bigan": {"score__pooling": "top", "population__seeds": 2},
    "anogan": {"score__pooling": "mean"},
    "dense_discriminator": {"score__flips": "alternate", "data__normalisation": "standardise"},
    "inpainting": {"score__window": 50, "score__smoothing": 2.0},
}
"""Settings of all kinds, each with one system."""


def trained(method):
    """A detector, and forty images that it has not seen."""
    settings = {"data__name": "nanofibres", "data__image_size": 72, "data__crops_per_image": 16}
    config = tiny.config(method, score__stride=8, **settings | SYSTEMS[method])
    config.data.test_images = 4 if method == "anogan" else 40
    source = sources.load(resolve(config).data)
    return semad.Detector(config).fit(source.train), source.test


@pytest.mark.parametrize("method", SYSTEMS)
def test_the_script_gives_the_same_maps_and_verdicts(method, tmp_path):
    detector, images = trained(method)
    maps = [detector.anomaly_map(image) for image in images]
    verdicts = (
        np.array([detector.score_map(values) for values in maps]) > detector.thresholds_.image
    )
    for file_format in FORMATS:
        if file_format == "onnx" and method == "anogan":
            with pytest.raises(UserError, match="searches .* use --format=stablehlo"):
                export(detector, tmp_path / "onnx", "onnx")
            continue
        folder = export(detector, tmp_path / file_format, file_format)
        assert {path.name for path in folder.iterdir()} == {
            f"score.{file_format}", "model.json", "score.py",
        }  # fmt: skip
        model, patches = score.load(folder)
        found = [score.anomaly_map(image, model, patches) for image in images]
        for values, expected in zip(found, maps, strict=True):
            np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)
        scores = np.array([score.image_score(values, model) for values in found])
        np.testing.assert_array_equal(scores > model["thresholds"]["image"], verdicts)
        check_model(model, detector, file_format)
        check_command(folder, tmp_path / f"{file_format} maps", images[0], maps[0], verdicts[0])


def check_model(model, detector, file_format):
    """What model.json says beside how a map is made."""
    method = detector.method_.name
    size = 48 if method == "inpainting" else 16
    assert (model["patch_size"], model["map"]["stride"]) == (size, 36 if size == 48 else 8)
    assert model["patches"] == max(1, 16 * 16**2 // size**2)
    assert model["patches_fixed"] == (file_format == "onnx" or method == "anogan")
    assert (model["channels"], model["dtype"], model["items"]) == (1, "float32", False)
    assert model["image"]["pooling"] == detector.scorer_.pooling
    assert model["thresholds"].keys() == {"patch", "pixel", "image", "core"}
    assert model["thresholds"]["image"] == detector.thresholds_.image
    if file_format == "onnx":
        assert (model["opset"], model["ir_version"]) == (18, 8)
    else:
        jaxlib = model["versions"]["packages"]["jaxlib"]
        assert model["readable"].startswith(f"by jaxlib {jaxlib}, and")
        assert "up to 6 months after" in model["readable"]
        assert model["stablehlo"].startswith("1.")
    if method == "bigan":
        return  # the scorer below is of one member
    held, (member,) = detector.normal_.holdout, detector.members_
    items = tile_items(held, size, size)
    if not len(items):
        assert model["thresholds"]["patch"] is None
        return
    tiles = cut_items(held, items, size)
    name = detector.system_.scoring.score
    parts = [tiles[i : i + 16] for i in range(0, len(tiles), 16)]
    values = [make_scorer(detector.method_)(member, part).scores[name] for part in parts]
    assert model["thresholds"]["patch"] == pytest.approx(
        conformal(np.concatenate(values), 0.05), rel=1e-4
    )


def check_command(folder, maps, image, expected, verdict):
    """`score.py` as a user calls it, in a process without semad."""
    picture, deep = folder.parent / "image.png", folder.parent / "deep.npy"
    Image.fromarray(image[..., 0]).save(picture)
    np.save(deep, image.astype(np.uint16) * 257)
    absent = ABSENT[folder.name]
    arguments = [absent, folder / "score.py", picture, deep, "--maps", maps]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    for row, path in zip(rows, (picture, deep), strict=True):
        assert row["file"] == str(path)
        assert row["verdict"] == ("anomalous" if verdict else "normal")
        values = np.load(maps / f"{path.name}.npy")
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_levels_of_a_pyramid_are_mapped_alike(tmp_path, fibres):
    config = tiny.config("autoencoder", data__pyramid=2, select="none")
    detector = semad.Detector(config).fit([image[:70, :61] for image in fibres.train])
    export(detector, tmp_path / "a", "onnx")
    model, patches = score.load(tmp_path / "a")
    assert model["map"]["levels"] == 2
    for image in (fibres.test[0], fibres.test[1][:37, :30]):  # its half is smaller than a patch
        expected = detector.anomaly_map(image)
        values = score.anomaly_map(image, model, patches)
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_small_items_are_padded_as_training_images_were(tmp_path):
    """And an export never overwrites what is there."""
    draw = np.random.default_rng(0)
    items = draw.integers(0, 256, (24, 12, 13), np.uint8)
    detector = semad.Detector(tiny.config("autoencoder", data__normalisation="auto")).fit(items)
    with pytest.MonkeyPatch.context() as patch:
        in_matmuls = backend.CPU._replace(convolution="matmul", narrow_convolution="matmul")
        patch.setattr(backend, "CPU", in_matmuls)
        for name in ("a", "a"):
            export(detector, tmp_path / name, "onnx")
    nodes = onnx.load(tmp_path / "a/score.onnx").graph.node
    assert {"Conv", "ConvTranspose"} <= {node.op_type for node in nodes}
    assert (tmp_path / "a.1/model.json").is_file()
    model, patches = score.load(tmp_path / "a")
    assert model["items"]
    assert model["normalisation"] == "range"
    for image in (items[0], draw.integers(0, 256, (20, 30), np.uint8)):
        expected = detector.anomaly_map(image)
        found = score.anomaly_map(image, model, patches)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(SystemExit, match="1 channels and 16 pixels a side"):
        score.anomaly_map(draw.integers(0, 256, (10, 30), np.uint8), model, patches)
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").touch()
    with pytest.raises(UserError, match="something else"):
        export(detector, tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "onnx", None)
        for name in ("jax_to_onnx", "onnx_graph", "onnx_rules"):
            patch.delitem(sys.modules, f"semad.inference.{name}")
            patch.delattr(semad.inference, name)
        with pytest.raises(UserError, match=r"needs the package onnx; pip install 'semad\[onnx\]'"):
            export(detector, tmp_path / "b", "onnx")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("window", "side", "levels", "warns"),
    [(64, 70, 1, 0), (96, 72, 1, 1), (64, 130, 2, 0), (96, 142, 2, 1)],
)
def test_windows_have_one_size_and_larger_ones_are_mentioned(window, side, levels, warns, caplog):
    system = build(
        tiny.config("inpainting", score__window=window, score__chunk=64, data__pyramid=levels)
    )
    images = [np.zeros((shape, 180, 1), np.uint8) for shape in (160, side)]
    detector = SimpleNamespace(
        settings_=system.settings,
        system_=system,
        method_=system.method,
        normal_=SimpleNamespace(images=images),
    )
    with caplog.at_level("WARNING", "semad"):
        tiling = _tiling(detector)
    assert (tiling.patch_size, tiling.stride, tiling.chunk) == (64, 48, 4)
    said = [record.message for record in caplog.records]
    assert len(said) == warns
    assert all("--config.score.window=64" in message for message in said)


@pytest.mark.parametrize("area", [1, 5, 20, 10_000])
def test_the_scores_of_images_are_those_of_semad(area):
    draw = np.random.default_rng(area)
    maps = [draw.normal(size=(30, 40)).astype(np.float32).round(1) for _ in range(4)]
    assert [score.area_level(values, area) for values in maps] == [
        area_level(values, area) for values in maps
    ]
    for pooling in ("max", "top", "mean", "several"):
        scorer = fitted(pooling, area, levels_of(maps, pooling, area))
        model = {"image": json.loads(json.dumps(scorer._asdict()))}
        assert (scorer.scales is None) == (pooling != "several")
        assert [score.image_score(values, model) for values in maps] == [
            pytest.approx(scorer(values), rel=1e-6) for values in maps
        ]
