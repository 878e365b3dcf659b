"""The report of an inspection in Chromium: what its sliders count is what Python counts."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from semad.inference import inspection_report
from semad.inference.appearance import WHOLE
from semad.inference.inspection import inspect
from semad.inference.map_levels import sliders_of
from semad.scoring.regions import regions, segment
from semad.scoring.thresholds import Thresholds
from tests.inference.conftest import fibres, inspector  # noqa: F401
from tests.reports.test_browser import browser, pytestmark  # noqa: F401

COUNT = """async ([image, pixel]) => {
  Object.assign(semad.setting, { image, pixel });
  const all = {};
  for (const one of semad.images) {
    const { regions } = await semad.defects_of(one);
    all[one.file] = regions.map((r) => [r.area, r.left, r.top, r.right, r.bottom]).sort();
  }
  return all;
}"""
SETTLED = "document.getElementById('summary').dataset.left === '0'"


@pytest.fixture(scope="module")
def results(inspector, fibres, tmp_path_factory):  # noqa: F811
    """Four images with maps of many blobs, a label of one; a key that wants to be escaped."""
    root = tmp_path_factory.mktemp("page")
    names = ["defect/a.png", "good/b.png", "good/c#1 50%.png", "other/d.png"]
    for name, image in zip(names, fibres.test, strict=True):
        (root / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(root / "test" / name)
    label = np.zeros((72, 72), np.uint8)
    label[10:20, 30:50] = 255
    (root / "ground_truth/defect").mkdir(parents=True)
    Image.fromarray(label).save(root / "ground_truth/defect/a_mask.png")
    sliders, draw = sliders_of(inspector), np.random.default_rng(0)
    low, high = sliders.colours
    maps = iter([ndimage.gaussian_filter(draw.normal(size=(72, 72)), 3) for _ in names])
    with pytest.MonkeyPatch.context() as patch:
        scale = (high - low) / 0.3
        patch.setattr(
            inspector, "anomaly_map", lambda _: (low + scale * next(maps)).astype(np.float32)
        )
        found = inspect(inspector, root / "test", root / "out")
    return root / "out", found.records


@pytest.fixture
def opened(results, browser):  # noqa: F811
    """Opens the report; what the browser complains of or asks for is collected."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, offline=True)
    trouble = []

    def open_page(path):
        page = context.new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: trouble.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("#picture img")
        trouble.remove(path.as_uri())
        return page, trouble

    yield open_page
    context.close()


def counted(values, record, limits, min_area):
    """The areas and boxes by Python."""
    mask = segment(values, record["score"], limits, min_area)
    if mask.mean() > WHOLE:
        return []
    boxes = [(r.area, *(r.box[i] for i in (1, 0, 3, 2))) for r in regions(values, mask)]
    return sorted(map(list, boxes), key=lambda row: [str(value) for value in row])


def test_the_sliders_count_as_python_does(inspector, results, opened):  # noqa: F811
    output, records = results
    page, trouble = opened(output / "report.html")
    sliders, min_area = sliders_of(inspector), inspector.settings_.score.min_area
    seen = set()
    for image in range(0, len(sliders.image), 2):
        for pixel in range(len(sliders.pixel)):
            found = page.evaluate(COUNT, [image, pixel])
            limits = Thresholds(
                sliders.image[image].threshold,
                sliders.pixel[pixel].threshold,
                sliders.cores[image],
            )
            for record in records:
                values = tifffile.imread(output / f"maps/{record['key']}.tif")
                expected = counted(values, record, limits, min_area)
                rows = sorted(found[record["file"]], key=lambda row: [str(v) for v in row])
                assert rows == expected, (record["file"], limits)
                seen.add(len(expected))
    assert len(seen) > 2  # none, one, and several
    assert [one for one in trouble if not one.startswith("data:")] == []


def test_the_page_says_what_a_setting_means(inspector, results, opened):  # noqa: F811
    output, records = results
    page, trouble = opened(output / "report.html")
    defects = sum(len(record["defects"]) for record in records)
    anomalous = sum(record["verdict"] == "anomalous" for record in records)
    said = f"{anomalous} of 4 images anomalous, {defects} defects"
    assert page.inner_text("#summary") == said
    rate = inspector.calibration_["rate"]
    assert f"to {100 * rate:g} %" in page.inner_text("#image-says")
    for _ in range(30):  # to the last setting
        page.keyboard.press("]")
    page.wait_for_function(SETTLED)
    assert page.inner_text("#summary") != said
    last = sliders_of(inspector).image[-1]
    assert last.rule.removesuffix("formal") in page.inner_text("#image-says") or last.rate is None
    assert page.is_enabled("#reset")
    page.keyboard.press("r")
    assert page.inner_text("#summary") == said
    assert [one for one in trouble if not one.startswith("data:")] == []


def test_defects_are_numbered_as_in_the_tables(results, opened):
    output, records = results
    page, _ = opened(output / "report.html")
    shown = """async (file) => {
      const image = semad.images.find((one) => one.file === file);
      const { regions } = await semad.defects_of(image);
      return regions.map((r) => [r.left, r.top, r.area, r.score]) }"""
    names = ("left", "top", "area_pixels", "peak_score")
    for record in records:
        expected = [[defect[name] for name in names] for defect in record["defects"]]
        assert page.evaluate(shown, record["file"]) == expected
    assert max(len(record["defects"]) for record in records) > 2


def test_list_and_keys(results, opened):
    output, records = results
    page, _ = opened(output / "report.html")
    ranked = [r["file"] for r in sorted(records, key=lambda record: -record["score"])]
    names = "[...document.querySelectorAll('.card:not([hidden]) .file')].map(e => e.textContent)"
    assert page.evaluate(names) == ranked
    assert page.inner_text("#name") == ranked[0]
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#name") == ranked[1]
    page.select_option("#order", "name")
    assert page.evaluate(names) == sorted(ranked)
    page.select_option("#folder", "good")
    assert page.evaluate(names) == ["good/b.png", "good/c#1 50%.png"]
    page.select_option("#folder", "*")
    page.fill("#search", "D.PNG")
    assert page.evaluate(names) == ["other/d.png"]
    page.fill("#search", "")
    page.fill("#least-score", str(records[0]["score"]))
    kept = {r["file"] for r in records if r["score"] >= records[0]["score"]}
    assert set(page.evaluate(names)) == kept
    page.fill("#least-score", "")
    page.locator("#stage").click()
    before = page.evaluate("document.getElementById('layers').style.transform")
    page.keyboard.press("+")
    assert page.evaluate("document.getElementById('layers').style.transform") != before
    page.keyboard.press("2")
    assert page.evaluate("document.getElementById('map').style.opacity") == "0.5"
    page.keyboard.press("?")
    assert page.evaluate("document.getElementById('help').open")


def test_a_label_is_a_layer(results, opened):
    output, _ = results
    page, _ = opened(output / "report.html")
    painted = """() => { const c = document.getElementById('label');
      const bytes = [...c.getContext('2d').getImageData(0, 0, 72, 72).data];
      return bytes.filter((value, place) => place % 4 === 3 && value).length }"""
    page.locator(".card", has_text="a.png").click()
    page.wait_for_function("!document.getElementById('label').hidden")
    assert page.evaluate(painted) == 10 * 20
    page.locator(".card", has_text="b.png").click()
    page.wait_for_function("document.getElementById('label').hidden")


def test_many_maps_lie_beside_the_page(inspector, results, opened, monkeypatch):  # noqa: F811
    output, records = results
    whole = (output / "report.html").stat().st_size
    monkeypatch.setattr(inspection_report, "_INSIDE", 1000)
    path = output / "beside.html"
    (output / "report.html").rename(path)
    inspect(inspector, output.parent / "test", output)
    (output / "report.html").rename(output / "kept.html")
    path.rename(output / "report.html")
    path = (output / "kept.html").rename(output / "beside.html")
    assert path.stat().st_size < whole
    page, trouble = opened(path)
    found = page.evaluate(COUNT, [0, 0])
    assert found.keys() == {record["file"] for record in records}
    beside = [one for one in trouble if not one.startswith("data:")]
    folder = (output / "report_data").as_uri()
    assert len(beside) == 4
    assert all(one.startswith(f"{folder}/") for one in beside)


def test_what_the_page_holds_is_no_script_of_a_name(results):
    """`</script>` in a name would end the data."""
    text = (results[0] / "report.html").read_text(encoding="utf-8")
    start = text.index('id="data">') + len('id="data">')
    data = json.loads(text[start : text.index("</script>", start)])
    assert [len(image["defects"]) for image in data["images"]]
    assert data["inside"] is True
