"""NanoTWICE: a synthetic copy of the layout, its preparation, and the real one where it lies."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from semad.config.schema import DataSettings
from semad.data import sources
from semad.data.sources import nanotwice, nanotwice_builder
from tests.complaints import one_line

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("SEMAD_DATA", ROOT.parent / "shared" / "data")) / "nanotwice"
NORMAL, ANOMALOUS = range(1141, 1146), range(1101, 1141)
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared NanoTWICE")


def picture(number, height=6):
    return (number - 1100 + np.arange(height * 7).reshape(height, 7)).astype(np.uint8)


def mask(number):
    drawn = np.zeros((6, 7), bool)
    drawn[number % 6, number % 7] = True
    return drawn


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def write_tree(root, normal="Normal", images="Anomalous/images", masks="Anomalous/gt"):
    for number in NORMAL:
        save(root / normal / f"ITIA{number}.tif", picture(number, 8))
    for number in ANOMALOUS:
        save(root / images / f"ITIA{number}.tif", picture(number))
        save(root / masks / f"ITIA{number}_gt.png", mask(number))
    return root


def write_archive(path, *skipped):
    tree = write_tree(path.parent / "tree", "x/defect free", "x/with defects", "x/truth")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/x/._ITIA1141.tif", b"not an image")
        for file in sorted(tree.rglob("*.*")):
            if file.name not in skipped:
                archive.write(file, file.relative_to(tree))
    return str(path)


def load(root, **changes):
    base = {"name": "nanotwice", "dir": str(root), "channels": 1, "verify": False}
    return sources.load(DataSettings({**base, **changes}))


def check(source, name="nanotwice"):
    assert source.name == name
    assert source.train_ids == [f"ITIA{number}" for number in NORMAL]
    assert source.test_ids == [f"ITIA{number}" for number in ANOMALOUS]
    for number, image in zip(NORMAL, source.train, strict=True):
        assert np.array_equal(image[..., 0], picture(number, 8))
    for number, image, drawn in zip(ANOMALOUS, source.test, source.masks, strict=True):
        assert np.array_equal(image[..., 0], picture(number))
        assert drawn.dtype == bool
        assert np.array_equal(drawn, mask(number))
    assert source.labels.tolist() == [True] * 40
    assert (source.micrographs, source.oriented) == (True, False)


def test_folder(tmp_path):
    check(load(write_tree(tmp_path)), "nanotwice/unverified")
    assert load(tmp_path, channels=3).test[0].shape == (6, 7, 3)


def test_prepared_from_an_archive_of_any_layout(tmp_path):
    archive = write_archive(tmp_path / "a.zip")
    nanotwice_builder.prepare(str(tmp_path / "tfds"), archive)
    check(load(tmp_path / "tfds", verify=True))
    assert load(tmp_path / "tfds", channels=3).train[0].shape == (8, 7, 3)


def test_archive_errors(tmp_path):
    archive = write_archive(tmp_path / "a.zip", "ITIA1141.tif", "ITIA1103_gt.png")
    prepare = nanotwice_builder.prepare
    one_line(lambda: prepare(str(tmp_path / "d"), archive), archive, "5 normal", "39 with")
    one_line(lambda: prepare(str(tmp_path / "d"), str(tmp_path / "no.zip")), tmp_path / "no.zip")
    (tmp_path / "text.zip").write_text("x")
    one_line(lambda: prepare(str(tmp_path / "d"), str(tmp_path / "text.zip")), "no zip archive")


def test_an_archive_that_would_fill_the_disk(tmp_path, monkeypatch):
    archive = write_archive(tmp_path / "a.zip")
    monkeypatch.setattr(nanotwice_builder, "MAX_BYTES", 1000)
    one_line(lambda: nanotwice_builder.prepare(str(tmp_path / "d"), archive), archive, "unpacks")


def test_failed_download(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise ConnectionError("no route\nto the host")

    monkeypatch.setattr(nanotwice_builder.Nanotwice, "download_and_prepare", refuse)
    reason, url = "no route to the host", nanotwice_builder.ARCHIVE_URL
    one_line(lambda: nanotwice_builder.prepare(str(tmp_path)), url, tmp_path, reason, "--archive")


def test_command_line_ends_in_one_line(tmp_path):
    command = [sys.executable, "-m", "semad.data.sources.nanotwice_builder", "--data_dir", tmp_path]
    done = subprocess.run(
        [*command, "--archive", tmp_path / "no.zip"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(tmp_path / "no.zip") in done.stderr


def test_damaged_prepared_files(tmp_path):
    nanotwice_builder.prepare(str(tmp_path), write_archive(tmp_path / "a.zip"))
    for path in (tmp_path / "nanotwice" / "1.0.0").glob("*anomalous.array_record*"):
        path.write_bytes(path.read_bytes()[:30])
    one_line(lambda: load(tmp_path), tmp_path, "prepare it again")


def test_not_there(tmp_path):
    one_line(lambda: load(tmp_path), tmp_path, "dfg05er_Data.zip", "nanotwice_builder")
    one_line(lambda: load(""), "config.data.dir", "dfg05er_Data.zip")


def test_masks_and_images_must_pair(tmp_path):
    write_tree(tmp_path)
    gone = tmp_path / "Anomalous" / "gt" / "ITIA1110_gt.png"
    gone.unlink()
    one_line(lambda: load(tmp_path), gone, "no mask")
    save(gone, mask(1110).T)
    one_line(lambda: load(tmp_path), gone, "6x7", "7x6")
    save(gone, mask(1110))
    (tmp_path / "Anomalous" / "images" / "ITIA1110.tif").unlink()
    one_line(lambda: load(tmp_path), gone, "mask without an image")


def test_damaged_image(tmp_path):
    path = write_tree(tmp_path) / "Normal" / "ITIA1143.tif"
    path.write_bytes(path.read_bytes()[:40])
    one_line(lambda: load(tmp_path), path)


def test_checksums_refuse_what_is_not_the_original(tmp_path):
    write_tree(tmp_path)
    first = tmp_path / "Anomalous" / "gt" / "ITIA1101_gt.png"
    one_line(lambda: load(tmp_path, verify=True), first, "--config.data.verify=False")
    first.unlink()
    one_line(lambda: load(tmp_path, verify=True), first, "missing", "verify=False")
    known = nanotwice._known_checksums()
    assert len(known) == 85
    assert sum(name.startswith("Normal/") for name in known) == 5


def test_checksums_refuse_files_that_do_not_belong(tmp_path, monkeypatch):
    write_tree(tmp_path)
    monkeypatch.setattr(nanotwice, "_known_checksums", dict)
    one_line(lambda: nanotwice.verify(tmp_path), tmp_path / "Normal" / "ITIA1141.tif", "remove it")


@needs_data
def test_real_data():
    source = load(SHARED, verify=True)
    assert (len(source.train), len(source.test)) == (5, 40)
    assert {image.shape for image in source.train} == {(700, 1024, 1)}
    assert {image.shape for image in source.test} == {(696, 1024, 1)}
    assert {image.dtype for image in [*source.train, *source.test]} == {np.dtype(np.uint8)}
    anomalous = np.mean([drawn.mean() for drawn in source.masks])
    assert anomalous == pytest.approx(0.0192, abs=5e-5)


def test_png_bytes_keep_every_value():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    with Image.open(io.BytesIO(nanotwice_builder._png(values).getvalue())) as image:
        assert np.array_equal(np.asarray(image), values)
