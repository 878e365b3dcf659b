"""Folders of micrographs, awkward ones among them, through `--mode score`'s machinery."""

import csv
import json
import signal

import numpy as np
import pytest
import tifffile
from PIL import Image

import semad
from semad.config.settings import with_values
from semad.errors import CannotWrite, UserError
from semad.inference import scored_image
from semad.inference.inspection import inspect
from semad.inference.records import DEGENERATE, SKIPPED, UNREADABLE, count, without_verdict
from semad.run.system import with_settings
from semad.utils.signals import interruptible

BAD = {
    "empty.tif": "empty",
    "text.tif": "text.tif",
    "cut.png": "truncated",
    "thin.png": "smaller than a patch",
}


def change(patch, inspector, key, value):
    settings = with_values(inspector.settings_, {key: value})
    patch.setattr(inspector, "system_", with_settings(inspector.system_, settings))


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder(inspector, folder, fibres, tmp_path):
    output = tmp_path / "out"
    found = inspect(inspector, folder, output)
    table = {row["file"]: row for row in rows(output / "scores.csv")}
    assert len(table) == len(found.records) == 9
    assert (table["notes.md"]["verdict"], table["notes.md"]["score"]) == (SKIPPED, "")
    assert "not an image" in table["notes.md"]["error"]
    assert len(without_verdict(found.records)) == len(BAD)
    assert count(found.records)[UNREADABLE] == len(BAD)
    assert count(found.records)["other files"] == 1
    for name, reason in BAD.items():
        assert table[name]["verdict"] == UNREADABLE
        assert table[name]["score"] == table[name]["defects"] == ""
        assert reason in table[name]["error"]
    good = ["sub/größe 1.png", "deep.tif", "same.bmp", "same.png"]
    scores = inspector.score_samples(fibres.test)
    limit = inspector.thresholds_.image
    for name, score in zip(good, scores, strict=True):
        assert float(table[name]["score"]) == pytest.approx(score, rel=1e-4)
        assert table[name]["verdict"] == ("anomalous" if score > limit else "normal")
    stems = ["sub/größe 1", "deep", "same.bmp", "same.png"]  # two of one name keep their ending
    for stem, image in zip(stems, fibres.test, strict=True):
        values = tifffile.imread(output / f"maps/{stem}.tif")
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, inspector.anomaly_map(image), rtol=1e-3, atol=1e-5)
        with Image.open(output / f"masks/{stem}.png") as mask:
            score = inspector.score_map(values)
            expected = inspector.segment_map(values, score)
            np.testing.assert_array_equal(np.asarray(mask) > 0, expected)
        with Image.open(output / f"overlays/{stem}.png") as overlay:
            assert overlay.size == (72, 72)


def test_defects_are_measured(inspector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(inspector, folder, output)
    defects = rows(output / "defects.csv")
    assert defects
    for one in defects:
        area = int(one["area_pixels"])
        assert area >= 20
        assert float(one["area_um2"]) == pytest.approx(area * 0.02**2)
        assert int(one["left"]) <= float(one["centroid_x"]) < int(one["right"])
        assert int(one["top"]) <= float(one["centroid_y"]) < int(one["bottom"])
        assert float(one["peak_score"]) > inspector.thresholds_.image
    per_file = {row["file"]: row for row in rows(output / "scores.csv") if row["defects"]}
    for name, row in per_file.items():
        own = [one for one in defects if one["file"] == name]
        assert int(row["defects"]) == len(own)
        assert int(row["defect_area_pixels"]) == sum(int(one["area_pixels"]) for one in own)


def test_a_second_call_does_what_is_missing(inspector, folder, tmp_path):
    output = tmp_path / "out"
    first = inspect(inspector, folder, output)
    before = (output / "scores.csv").read_text()
    again = inspect(inspector, folder, output)
    assert (first.scored, again.scored) == (8, 4)  # unreadable ones are tried again
    assert (output / "scores.csv").read_text() == before
    # A file that changed, and one that was mended.
    Image.open(folder / "same.png").transpose(Image.Transpose.ROTATE_90).save(folder / "same.png")
    Image.open(folder / "same.png").save(folder / "thin.png")
    third = inspect(inspector, folder, output)
    assert third.scored == 5
    assert count(third.records)[UNREADABLE] == 3


def test_a_scale_that_changed_changes_the_areas(inspector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(inspector, folder / "deep.tif", output)
    beside = folder / "deep.txt"
    beside.write_text("[SemImageFile]\nPixelSize=5\n")
    with pytest.MonkeyPatch.context() as patch:
        change(patch, inspector, "score.nm_per_pixel", None)
        first = inspect(inspector, folder / "deep.tif", tmp_path / "b")
        beside.unlink()
        second = inspect(inspector, folder / "deep.tif", tmp_path / "b")
    assert (first.records[0]["nm_per_pixel"], second.records[0]["nm_per_pixel"]) == (5, None)
    assert second.scored == 1


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (MemoryError(), "not enough memory"),
        (RecursionError("too deep"), "RecursionError: too deep"),
    ],
)
def test_a_file_that_fails_does_not_stop_the_others(
    inspector, folder, tmp_path, monkeypatch, error, says
):
    read = scored_image.read_picture

    def refuse(path, *rest):
        if path.name == "deep.tif":
            raise error
        return read(path, *rest)

    monkeypatch.setattr(scored_image, "read_picture", refuse)
    found = {one["file"]: one for one in inspect(inspector, folder, tmp_path / "out").records}
    assert found["deep.tif"]["verdict"] == UNREADABLE
    assert says in found["deep.tif"]["error"]
    assert "score" in found["same.png"]


def test_an_image_that_memory_cannot_hold_is_not_tried(inspector, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(scored_image, "_BYTES_PER_PIXEL", 2**50)
    record = inspect(inspector, folder / "deep.tif", tmp_path / "out").records[0]
    assert record["verdict"] == UNREADABLE
    assert "72×72 pixels takes" in record["error"]


def test_a_degenerate_frame_gets_no_verdict(inspector, folder, tmp_path):
    Image.fromarray(np.full((72, 72), 9, np.uint8)).save(folder / "deep.png")
    found = inspect(inspector, folder / "deep.png", tmp_path / "out")
    assert found.records[0]["verdict"] == DEGENERATE
    assert "all pixels are 9" in found.records[0]["error"]
    assert without_verdict(found.records) == found.records
    assert rows(tmp_path / "out/scores.csv")[0]["verdict"] == DEGENERATE


def test_each_page_of_a_stack_is_an_image_where_asked_for(inspector, fibres, tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    pages = np.stack([image[..., 0] for image in fibres.test[:3]])
    tifffile.imwrite(folder / "stack.tif", pages, photometric="minisblack")
    refused = inspect(inspector, folder, tmp_path / "refused").records[0]
    assert refused["verdict"] == UNREADABLE
    assert "--config.data.pages" in refused["error"]
    with pytest.MonkeyPatch.context() as patch:
        change(patch, inspector, "data.pages", "each")
        found = inspect(inspector, folder, output)
        names = [record["file"] for record in found.records]
        assert len(names) == 3
        assert all(name.startswith("stack.tif#") for name in names)
        for record, image in zip(found.records, fibres.test, strict=False):
            assert record["score"] == inspector.score_samples(image[None])[0]
            assert record["key"] == record["file"].replace(".tif#", "-p")
            assert (output / f"maps/{record['key']}.tif").is_file()
        assert inspect(inspector, folder, output).scored == 0
        tifffile.imwrite(folder / "stack.tif", pages[1:], photometric="minisblack")
        assert inspect(inspector, folder, output).scored == 2
    assert len(list((output / "maps").iterdir())) == 2  # those of the third page are gone


def test_cautions_travel(inspector, folder, tmp_path, monkeypatch, caplog):
    read = scored_image.read_picture
    text = "its scale is not understood"
    monkeypatch.setattr(
        scored_image, "read_picture", lambda *args: read(*args)._replace(cautions=(text,))
    )
    output = tmp_path / "out"
    inspect(inspector, folder, output)
    assert f"4 images: {text}" in caplog.text
    again = inspect(inspector, folder, output)
    assert sum(record.get("cautions") == [text] for record in again.records) == 4
    assert sum(row["cautions"] == text for row in rows(output / "scores.csv")) == 4
    assert f"4 images: {text}" in (output / "report.html").read_text(encoding="utf-8")


def test_when_stopped_the_tables_say_what_there_is(inspector, folder, tmp_path, monkeypatch):
    output, whole, calls = tmp_path / "out", semad.Detector.anomaly_map, []

    def stopping(self, image):
        calls.append(image)
        if len(calls) > 1:
            signal.raise_signal(signal.SIGTERM)
        return whole(self, image)

    def stopped():
        monkeypatch.setattr(semad.Detector, "anomaly_map", stopping)
        with pytest.raises(UserError, match="SIGTERM"), interruptible():
            inspect(inspector, folder, output)
        monkeypatch.undo()
        table = rows(output / "scores.csv")
        assert len(table) == 9
        assert "of 8 images anomalous" in (output / "report.html").read_text(encoding="utf-8")
        return [row for row in table if row["score"]], table

    scored, table = stopped()
    assert [row["file"] for row in scored] == ["deep.tif"]
    assert sum("not reached" in row["error"] for row in table) == 5
    assert inspect(inspector, folder, output).scored == 8 - 1
    (folder / "deep.tif").write_bytes((folder / "sub" / "größe 1.png").read_bytes())
    scored, table = stopped()  # at the changed file; the others keep their rows
    assert [row["file"] for row in scored] == ["same.bmp", "same.png", "sub/größe 1.png"]
    assert not (output / "maps/deep.tif").exists()  # of what the file was


def test_a_disk_that_fails_ends_it_in_one_line(inspector, folder, tmp_path, monkeypatch):
    whole, output = scored_image.write_results, tmp_path / "out"

    def full(output, key, *rest):
        if key == "same.bmp":
            raise CannotWrite("no space left")
        whole(output, key, *rest)

    monkeypatch.setattr(scored_image, "write_results", full)
    with pytest.raises(CannotWrite, match="no space left"):
        inspect(inspector, folder, output)
    table = {row["file"]: row for row in rows(output / "scores.csv")}
    assert table["deep.tif"]["score"]
    assert "not reached" in table["same.bmp"]["error"]


def test_a_name_that_cannot_be_written_is_the_image_s_alone(inspector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(inspector, folder / "deep.tif", output)
    (output / "maps/deep.tif").unlink()
    (output / "maps/deep.tif").mkdir()
    found = inspect(inspector, folder / "deep.tif", output)
    assert "Is a directory" in found.records[0]["error"]
    assert not (output / "records/deep.json").exists()


def test_a_data_bar_is_left_out(inspector, folder, tmp_path, fibres):
    with pytest.MonkeyPatch.context() as patch:
        change(patch, inspector, "data.data_bar", 20)
        inspect(inspector, folder / "deep.tif", tmp_path / "a")
        values = tifffile.imread(tmp_path / "a/maps/deep.tif")
        assert values.shape == (52, 72)
        np.testing.assert_allclose(
            values, inspector.anomaly_map(fibres.test[1][:52]), rtol=1e-3, atol=1e-5
        )
        change(patch, inspector, "data.data_bar", 72)
        record = inspect(inspector, folder / "deep.tif", tmp_path / "b").records[0]
        assert "data_bar" in record["error"]


def test_the_report(inspector, folder, tmp_path):
    output = tmp_path / "out"
    (folder / "more").mkdir()
    for number in range(20):
        (folder / f"more/{number}.dm3").touch()
    inspection = inspect(inspector, folder, output)
    page = (output / "report.html").read_text(encoding="utf-8")
    anomalous = count(inspection.records)["anomalous"]
    assert f"{anomalous} of 28 images anomalous" in page
    assert page.count('src="data:image/jpeg;base64,') == 4
    assert "größe 1.png" in page
    assert "<div>unreadable<b>4</b></div>" in page
    assert "<div>skipped<b>20</b></div>" in page
    assert "<div>other files<b>1</b></div>" in page
    assert "<li>cut.png: unreadable, " in page
    assert "and 4 more, listed in scores.csv" in page
    assert json.loads((output / "settings.json").read_text())["system"] == "autoencoder"
    assert "<code>image " in page  # a normal image that scores highest


def test_an_image_that_is_unlike_all_others_has_no_outline(inspector, folder, fibres, tmp_path):
    """A negative: nearly all of it lies above the pixels' threshold."""
    inside = folder / "negative"
    inside.mkdir()
    tifffile.imwrite(inside / "a.tif", 250 - fibres.test[0][..., 0] // 9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspector, "segment_map", lambda values, score: np.ones(values.shape, bool))
        found = inspect(inspector, inside, tmp_path / "out")
    (record,) = found.records
    assert record["defects"] == []
    assert record["unlike"].startswith("unlike the training images as a whole: brighter (mean grey")
    (row,) = rows(tmp_path / "out/scores.csv")
    assert (row["unlike"], row["defects"]) == (record["unlike"], "0")
    assert rows(tmp_path / "out/defects.csv") == []
    with Image.open(tmp_path / "out/masks/a.png") as mask:
        assert not np.asarray(mask).any()
    assert "unlike the training images" in (tmp_path / "out/report.html").read_text()
