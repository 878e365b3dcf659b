"""Fibres of inspected images: fibres.csv, pictures, the report, resuming."""

import csv

import pytest
from PIL import Image

from semad.config.settings import with_values
from semad.fibres import measure
from semad.inference.fibre_table import ALL, fibre_rows
from semad.inference.inspection import inspect
from semad.run.system import with_settings


@pytest.fixture
def measuring(inspector, monkeypatch):
    settings = with_values(inspector.settings_, {"score.fibres": True})
    monkeypatch.setattr(inspector, "system_", with_settings(inspector.system_, settings))
    return inspector


def rows(output):
    with (output / "fibres.csv").open(encoding="utf-8", newline="") as file:
        return {(row["file"], row["regions"]): row for row in csv.DictReader(file)}


def test_a_folder(measuring, folder, fibres, tmp_path):
    flat = Image.effect_noise((80, 80), 20)
    flat.save(folder / "noise.png")
    output = tmp_path / "out"
    first = inspect(measuring, folder, output)
    table = rows(output)
    expected = measure(fibres.test[0], nm_per_pixel=20.0)
    row = table["sub/größe 1.png", "with defects"]
    assert expected.fibrous
    assert row["fibrous"] == "yes"
    assert float(row["diameter_median_pixels"]) == pytest.approx(
        expected.whole.diameter.median, rel=1e-3
    )
    assert float(row["diameter_median_nm"]) == pytest.approx(
        20 * expected.whole.diameter.median, rel=1e-3
    )
    assert int(row["length_pixels"]) == expected.whole.diameter.samples
    noise = table["noise.png", "without defects"]
    assert (noise["fibrous"], noise["diameter_median_pixels"]) == ("no", "")
    assert noise["reason"].startswith("not fibrous")
    with Image.open(output / "fibres/sub/größe 1.png") as picture:
        assert picture.width == 72
    scored = [name for name, regions in table if regions == "with defects" and name != ALL]
    total = sum(int(table[name, "with defects"]["length_pixels"] or 0) for name in scored)
    assert int(table[ALL, "with defects"]["length_pixels"]) == total
    report = (output / "report.html").read_text()
    assert 'id="fibres"' in report
    assert "not fibrous" in report
    (output / "fibres.csv").unlink()
    again = inspect(measuring, folder, output)
    assert again.scored < first.scored
    assert rows(output) == table


def test_a_missing_picture_is_made_again_and_those_of_gone_images_go(measuring, folder, tmp_path):
    output = tmp_path / "out"
    inspect(measuring, folder / "deep.tif", output)
    (output / "fibres/deep.png").unlink()
    assert inspect(measuring, folder / "deep.tif", output).scored == 1
    assert (output / "fibres/deep.png").is_file()
    output = tmp_path / "folder"
    inspect(measuring, folder, output)
    (folder / "deep.tif").unlink()
    inspect(measuring, folder, output)
    assert not (output / "fibres/deep.png").exists()
    assert ("deep.tif", "with defects") not in rows(output)


def test_without_the_setting_there_is_nothing(inspector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(inspector, folder / "deep.tif", output)
    assert not (output / "fibres.csv").exists()
    assert not (output / "fibres").exists()
    assert 'id="fibres"' not in (output / "report.html").read_text()
    assert "fibres" not in (output / "settings.json").read_text()


def test_images_of_different_scales_are_not_pooled():
    counts = {
        "diameters": [0, 0, 9],
        "angles": [9, *[0] * 17],
        "axis": [9.0, 0.0],
        "pixels": 100,
        "pore_pixels": 20,
        "pores": [],
    }
    record = {"fibres": {"reason": "", "whole": counts, "clean": counts}}
    records = [
        record | {"file": "a", "nm_per_pixel": 5.0},
        record | {"file": "b", "nm_per_pixel": 10.0},
    ]
    first = fibre_rows(records)[0]
    assert (first["file"], first["reason"]) == (ALL, "the images differ in scale")
    assert first["diameter_median_pixels"] is None
    same = fibre_rows([records[0], records[0] | {"file": "c"}])[0]
    assert (same["length_pixels"], same["nm_per_pixel"]) == (18, 5.0)
