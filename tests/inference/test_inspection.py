"""Folders of micrographs, awkward ones among them, through `--mode score`'s machinery."""

import csv
import json

import numpy as np
import pytest
import tifffile
from PIL import Image

import semad
from semad.config.settings import resolve, with_values
from semad.data import sources
from semad.data.images import read_image
from semad.errors import UserError
from semad.inference.image_files import find
from semad.inference.inspection import inspect
from semad.inference.inspection_report import write_report
from semad.inference.records import UNREADABLE
from semad.run.system import with_settings
from semad.scoring.thresholds import Thresholds
from tests import tiny

SETTINGS = {
    "data__name": "nanofibres",
    "data__image_size": 72,
    "data__crops_per_image": 16,
    "score__nm_per_pixel": 20.0,
    "score__stride": 8,
}
BAD = {
    "empty.tif": "empty",
    "text.tif": "not a TIFF",
    "cut.png": "truncated",
    "thin.png": "smaller than a patch",
}


@pytest.fixture(scope="module")
def source():
    return sources.load(resolve(tiny.config("autoencoder", **SETTINGS)).data)


@pytest.fixture(scope="module")
def detector(source):
    fitted = semad.Detector(tiny.config("autoencoder", **SETTINGS)).fit(source.train)
    # Low enough that an untrained system finds something in every image.
    scores = fitted.score_samples(source.test)
    limits = Thresholds(float(np.sort(scores)[1]), float(scores.min() * 0.8))
    fitted.__dict__["_calibrated"] = (limits, fitted.calibration_)
    return fitted


@pytest.fixture
def folder(tmp_path, source):
    """Good images of several kinds, bad ones, and what is no image."""
    root = tmp_path / "in put ä"
    (root / "sub").mkdir(parents=True)
    first, second, third, fourth = (image[..., 0] for image in source.test)
    Image.fromarray(first).save(root / "sub" / "größe 1.png")
    tifffile.imwrite(root / "deep.tif", second.astype(np.uint16) * 257)
    Image.fromarray(np.repeat(third[..., None], 3, 2)).save(root / "same.bmp")
    Image.fromarray(fourth).convert("P").save(root / "same.png")
    (root / "empty.tif").touch()
    (root / "text.tif").write_text("no image")
    whole = (root / "sub" / "größe 1.png").read_bytes()
    (root / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(first[:, :1]).save(root / "thin.png")
    (root / "notes.txt").write_text("kept out")
    (root / ".hidden.png").write_bytes(whole)
    return root


def change(patch, detector, key, value):
    settings = with_values(detector.settings_, {key: value})
    patch.setattr(detector, "system_", with_settings(detector.system_, settings))


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder(detector, folder, source, tmp_path):
    output = tmp_path / "out"
    found = inspect(detector, folder, output)
    table = {row["file"]: row for row in rows(output / "scores.csv")}
    assert len(table) == len(found.records) == 8
    for name, reason in BAD.items():
        assert table[name]["verdict"] == UNREADABLE
        assert table[name]["score"] == table[name]["defects"] == ""
        assert reason in table[name]["error"]
    good = ["sub/größe 1.png", "deep.tif", "same.bmp", "same.png"]
    scores = detector.score_samples(source.test)
    limit = detector.thresholds_.image
    for name, score in zip(good, scores, strict=True):
        assert float(table[name]["score"]) == pytest.approx(score, rel=1e-4)
        assert table[name]["verdict"] == ("anomalous" if score > limit else "normal")
    stems = ["sub/größe 1", "deep", "same.bmp", "same.png"]  # two of one name keep their ending
    for stem, image in zip(stems, source.test, strict=True):
        values = tifffile.imread(output / f"maps/{stem}.tif")
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, detector.anomaly_map(image), rtol=1e-3, atol=1e-5)
        with Image.open(output / f"masks/{stem}.png") as mask:
            score = detector.score_map(values)
            expected = detector.segment_map(values, score)
            np.testing.assert_array_equal(np.asarray(mask) > 0, expected)
        with Image.open(output / f"overlays/{stem}.png") as overlay:
            assert overlay.size == (72, 72)


def test_defects_are_measured(detector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(detector, folder, output)
    defects = rows(output / "defects.csv")
    assert defects
    for one in defects:
        area = int(one["area_pixels"])
        assert area >= 20
        assert float(one["area_um2"]) == pytest.approx(area * 0.02**2)
        assert int(one["left"]) <= float(one["centroid_x"]) < int(one["right"])
        assert int(one["top"]) <= float(one["centroid_y"]) < int(one["bottom"])
        assert float(one["peak_score"]) > detector.thresholds_.image
    per_file = {row["file"]: row for row in rows(output / "scores.csv") if row["defects"]}
    for name, row in per_file.items():
        own = [one for one in defects if one["file"] == name]
        assert int(row["defects"]) == len(own)
        assert int(row["defect_area_pixels"]) == sum(int(one["area_pixels"]) for one in own)


def test_a_second_call_does_what_is_missing(detector, folder, tmp_path):
    output = tmp_path / "out"
    first = inspect(detector, folder, output)
    before = (output / "scores.csv").read_text()
    again = inspect(detector, folder, output)
    assert (first.scored, again.scored) == (8, 4)  # unreadable ones are tried again
    assert (output / "scores.csv").read_text() == before
    # A file that changed, and one that was mended.
    Image.open(folder / "same.png").transpose(Image.Transpose.ROTATE_90).save(folder / "same.png")
    Image.open(folder / "same.png").save(folder / "thin.png")
    third = inspect(detector, folder, output)
    assert third.scored == 5
    assert sum(one["verdict"] == UNREADABLE for one in third.records) == 3


def test_another_folder_wants_another_output(detector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(detector, folder, output)
    before = (output / "scores.csv").read_text()
    with pytest.raises(UserError, match="images = "):
        inspect(detector, folder / "sub", output)
    assert (output / "scores.csv").read_text() == before


def test_a_scale_that_changed_changes_the_areas(detector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(detector, folder / "deep.tif", output)
    beside = folder / "deep.txt"
    beside.write_text("[SemImageFile]\nPixelSize=5\n")
    with pytest.MonkeyPatch.context() as patch:
        change(patch, detector, "score.nm_per_pixel", None)
        first = inspect(detector, folder / "deep.tif", tmp_path / "b")
        beside.unlink()
        second = inspect(detector, folder / "deep.tif", tmp_path / "b")
    assert (first.records[0]["nm_per_pixel"], second.records[0]["nm_per_pixel"]) == (5, None)
    assert second.scored == 1


def test_a_file_that_fails_does_not_stop_the_others(detector, folder, tmp_path, monkeypatch):
    long = folder / f"{'ä' * 120}.png"
    (folder / "deep.tif").rename(folder / "locked.tif")
    Image.open(folder / "same.png").save(long)

    def refuse(path, channels, read=read_image):
        if path.name == "locked.tif":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, channels)

    monkeypatch.setattr("semad.inference.inspection.read_image", refuse)
    found = {one["file"]: one for one in inspect(detector, folder, tmp_path / "out").records}
    assert found["locked.tif"]["verdict"] == UNREADABLE
    assert "Permission denied" in found["locked.tif"]["error"]
    key = found[long.name]["key"]
    assert len(key.encode()) <= 200
    assert (tmp_path / f"out/overlays/{key}.png").is_file()


def test_every_file_has_results_of_its_own(tmp_path):
    for name in ("a.png", "a.tif", "a.tif.png", "b.png"):
        (tmp_path / name).touch()
    keys = [item.key for item in find(tmp_path, tmp_path / "out")]
    assert keys == ["a.png", "a.tif", "a.tif.png", "b"]


def test_when_stopped_the_tables_say_what_there_is(detector, folder, tmp_path, monkeypatch):
    output, whole, calls = tmp_path / "out", semad.Detector.anomaly_map, []

    def stopping(self, image):
        calls.append(image)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return whole(self, image)

    monkeypatch.setattr(semad.Detector, "anomaly_map", stopping)
    with pytest.raises(KeyboardInterrupt):
        inspect(detector, folder, output)
    scored = [row for row in rows(output / "scores.csv") if row["score"]]
    assert len(scored) == 1
    monkeypatch.undo()
    assert inspect(detector, folder, output).scored == 8 - 1
    (folder / "deep.tif").write_bytes((folder / "sub" / "größe 1.png").read_bytes())
    monkeypatch.setattr(semad.Detector, "anomaly_map", stopping)
    with pytest.raises(KeyboardInterrupt):  # at the changed file; the others keep their rows
        inspect(detector, folder, output)
    assert len([row for row in rows(output / "scores.csv") if row["score"]]) == 4


def test_other_settings_want_another_folder(detector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(detector, folder, output)
    with pytest.MonkeyPatch.context() as patch:
        change(patch, detector, "score.min_area", 30)
        with pytest.raises(UserError, match=r"config\.score\.min_area = 20, not 30"):
            inspect(detector, folder, output)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.docx").touch()
    with pytest.raises(UserError, match="something else"):
        inspect(detector, folder, other)


def test_a_data_bar_is_left_out(detector, folder, tmp_path, source):
    with pytest.MonkeyPatch.context() as patch:
        change(patch, detector, "score.data_bar", 20)
        inspect(detector, folder / "deep.tif", tmp_path / "a")
        values = tifffile.imread(tmp_path / "a/maps/deep.tif")
        assert values.shape == (52, 72)
        np.testing.assert_allclose(
            values, detector.anomaly_map(source.test[1][:52]), rtol=1e-3, atol=1e-5
        )
        change(patch, detector, "score.data_bar", 72)
        record = inspect(detector, folder / "deep.tif", tmp_path / "b").records[0]
        assert "data_bar" in record["error"]


def test_what_is_found(folder, tmp_path):
    names = [item.name for item in find(folder, tmp_path / "out")]
    assert names == sorted(names)
    assert "notes.txt" not in names
    assert ".hidden.png" not in names
    for inside in (folder / "sub", folder / ".." / folder.name / "sub"):  # however it is spelt
        assert len(find(folder, inside)) == 7
    for images, output, says in (
        (tmp_path / "nowhere", tmp_path / "out", "not found"),
        (tmp_path / "out", tmp_path / "x", "not found"),
        (folder / "sub", folder, "write to another folder"),
    ):
        with pytest.raises(UserError, match=says):
            find(images, output)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="no images"):
        find(tmp_path / "nothing", tmp_path / "out")


def test_the_report(detector, folder, tmp_path):
    output = tmp_path / "out"
    inspection = inspect(detector, folder, output)
    write_report(detector, output, inspection)
    page = (output / "report.html").read_text(encoding="utf-8")
    anomalous = sum(one["verdict"] == "anomalous" for one in inspection.records)
    assert f"{anomalous} of 8 images anomalous" in page
    assert page.count("data:image/jpeg;base64,") == 4
    assert "größe 1.png" in page
    assert json.loads((output / "settings.json").read_text())["system"] == "autoencoder"
