"""What an inspection leaves in its output folder, and what it never touches."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from semad.config.settings import with_values
from semad.errors import UserError
from semad.inference import records
from semad.inference.image_files import Item
from semad.inference.inspection import inspect
from semad.run.system import with_settings
from semad.utils.locks import folder_lock


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def files_of(output):
    return {p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file()}


def test_results_of_images_that_are_gone_are_removed(inspector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(inspector, folder, output)
    (output / "masks/mine.png").write_text("of the user")
    (output / "maps/sub/notes.txt").write_text("of the user")
    (output / "records/mine.json").write_text("{}")
    (folder / "sub/größe 1.png").unlink()
    (folder / "same.bmp").unlink()  # same.png is same now
    inspect(inspector, folder, output)
    kept = files_of(output)
    assert {"masks/mine.png", "maps/sub/notes.txt", "records/mine.json"} <= kept
    results = {name.format("deep") for name in (*records.RESULTS, "records/{}.json")}
    results |= {name.format("same") for name in (*records.RESULTS, "records/{}.json")}
    tables = {"scores.csv", "defects.csv", records.COCO, "report.html", "settings.json"}
    assert kept - {"masks/mine.png", "maps/sub/notes.txt", "records/mine.json"} == results | tables
    assert not (output / "masks/sub").exists()
    assert "sub/größe 1.png" not in rows(output / "scores.csv")


def test_results_of_an_image_that_turned_bad_are_removed(inspector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(inspector, folder, output)
    (folder / "deep.tif").write_text("no image any more")
    inspect(inspector, folder, output)
    assert not {name for name in files_of(output) if "deep" in name}


def test_what_a_kill_left_is_removed_with_its_image(inspector, folder, tmp_path, monkeypatch):
    output = tmp_path / "out"
    with monkeypatch.context() as patch:

        def killed(output, key, *rest):
            records.write_text(output / f"maps/{key}.tif", "")
            raise SystemExit

        patch.setattr("semad.inference.scored_image.write_results", killed)
        with pytest.raises(SystemExit):
            inspect(inspector, folder, output)
    assert (output / "maps/deep.tif").exists()
    (folder / "deep.tif").unlink()
    inspect(inspector, folder, output)
    assert not (output / "maps/deep.tif").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"[" * 100_000,
        lambda content: b"{}",
        lambda content: b'{"record": {"file": "deep.tif", "verdict": "normal"}}',
        lambda content: content.replace(b'"width": 72', b'"width": 73'),
    ],
)
def test_a_damaged_record_is_made_again(inspector, folder, tmp_path, damage):
    output = tmp_path / "out"
    whole = inspect(inspector, folder / "deep.tif", output)
    path = output / "records/deep.json"
    path.write_bytes(damage(path.read_bytes()))
    again = inspect(inspector, folder / "deep.tif", output)
    assert again.records == whole.records
    assert again.scored == 1


def test_a_result_that_is_missing_is_made_again(inspector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(inspector, folder / "deep.tif", output)
    (output / "overlays/deep.png").unlink()
    assert inspect(inspector, folder / "deep.tif", output).scored == 1
    assert (output / "overlays/deep.png").is_file()


def test_a_record_of_another_image_counts_for_none(tmp_path):
    item = Item(tmp_path / "a.png", "a.png", "a")
    record = dict.fromkeys(records._NEEDED, 1) | {"verdict": "normal", "sha256": "1"}
    for name in ("file", "key"):
        del record[name]
    for name in records.RESULTS:
        path = tmp_path / name.format("a")
        path.parent.mkdir(exist_ok=True)
        path.touch()
    records.store(tmp_path, item, record)
    assert records.load(tmp_path, item, {"sha256": "1"})
    assert records.load(tmp_path, item, {"sha256": "2"}) is None
    assert records.load(tmp_path, item._replace(name="A.png")) is None
    (tmp_path / "records/b.json").write_bytes((tmp_path / "records/a.json").read_bytes())
    assert [item.key for item in records.load_items(tmp_path)["a.png"]] == ["a"]


def test_other_settings_want_another_folder(inspector, folder, tmp_path):
    output = tmp_path / "out"
    inspect(inspector, folder, output)
    before = (output / "scores.csv").read_text()
    for key, value, says in (
        ("score.min_area", 30, r"config\.score\.min_area = 20, not 30"),
        ("data.data_bar", 7, r"config\.data\.data_bar = -1, not 7"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            settings = with_values(inspector.settings_, {key: value})
            patch.setattr(inspector, "system_", with_settings(inspector.system_, settings))
            with pytest.raises(UserError, match=says):
                inspect(inspector, folder, output)
    with pytest.raises(UserError, match="images = "):
        inspect(inspector, folder / "sub", output)
    assert (output / "scores.csv").read_text() == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.docx").touch()
    with pytest.raises(UserError, match="something else"):
        inspect(inspector, folder, other)


@pytest.mark.parametrize("content", ["", '{"system": "auto', "[]", "[" * 100_000])
def test_damaged_settings_are_named(inspector, folder, tmp_path, content):
    output = tmp_path / "out"
    output.mkdir()
    (output / "settings.json").write_text(content)
    with pytest.raises(UserError, match=r"settings\.json: damaged; give another --output"):
        inspect(inspector, folder, output)


@pytest.mark.parametrize("name", ["maps", "records/sub", "scores.csv", "masks/deep.png"])
def test_links_are_not_written_through(inspector, folder, tmp_path, name):
    output, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (output / name).parent.mkdir(parents=True)
    (output / "settings.json").write_text("{}")
    (output / name).symlink_to(elsewhere)
    with pytest.raises(UserError, match=f"{name} is a link"):
        inspect(inspector, folder, output)
    assert not list(elsewhere.iterdir())


def test_one_at_a_time_writes_to_an_output_folder(inspector, folder, tmp_path):
    output = tmp_path / "out"
    with folder_lock(output, "score"), ThreadPoolExecutor() as pool:
        second = pool.submit(inspect, inspector, folder, output)
        with pytest.raises(UserError, match="in use by another thread"):
            second.result()
    assert not output.exists()


def test_no_cell_is_a_formula(inspector, folder, tmp_path):
    name = "=cmd|' ,C!A0.png"
    Image.open(folder / "same.png").save(folder / name)
    (folder / "@x.md").touch()
    output = tmp_path / "out"
    inspect(inspector, folder, output)
    table = rows(output / "scores.csv")
    assert f"'{name}" in table
    assert "'@x.md" in table
    record = {"verdict": "normal", "score": -1.5, "defects": [], "cautions": ["+1"], "file": "a"}
    error = records.left_out("b", "-1 and so on", True)
    records.write_tables(tmp_path, [record, error], 0.5)
    table = rows(tmp_path / "scores.csv")
    assert (table["a"]["score"], table["a"]["cautions"]) == ("-1.5", "'+1")
    assert table["b"]["error"] == "'-1 and so on"


def test_names_that_are_no_text(inspector, folder, tmp_path):
    content = (folder / "same.png").read_bytes()
    (folder / "a.tif").mkdir()
    for name in ("bad-\udcff.png", "two\nlines.png", "a.tif/x.png"):
        (folder / name).write_bytes(content)
    (folder / "a.png").write_bytes(content)
    output = tmp_path / "out"
    first = inspect(inspector, folder, output)
    assert sum("score" in record for record in first.records) == 8
    assert inspect(inspector, folder, output).scored == 4  # those that cannot be read
    table = rows(output / "scores.csv")
    assert {"bad-\\udcff.png", "two\nlines.png", "a.tif/x.png", "a.png"} <= table.keys()


def test_settings_are_kept(inspector, folder, tmp_path):
    inspect(inspector, folder / "deep.tif", tmp_path / "out")
    stored = json.loads((tmp_path / "out/settings.json").read_text())
    assert stored["config.data.pages"] == "single"
    assert stored["config.score.stride"] == 8
