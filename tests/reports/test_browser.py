"""Reports in a real browser: nothing missing, nothing fetched, nothing wider than a phone."""

import io
import os
import shutil

import pytest
from PIL import Image

import semad
from semad.data import sources
from semad.inference.inspection import inspect
from semad.pipeline import evaluate
from semad.reports.run import write_report
from semad.training.loop import train
from tests import tiny

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report of each kind: training, tiles, pixels, an inspection."""
    root = tmp_path_factory.mktemp("reports")
    settings = {"data__name": "nanofibres", "data__image_size": 72, "data__crops_per_image": 16}
    run = tiny.prepare("autoencoder", **settings, population__seeds=2)
    state = train(run, root / "training")
    write_report(root / "training", run.settings)
    for protocol in ("thesis_tiles", "pixel"):
        own = tiny.prepare("autoencoder", **settings, population__seeds=2, eval__protocol=protocol)
        evaluate(own, state, root / protocol)
    detector = semad.Detector(tiny.config("autoencoder", **settings)).fit(run.source.train)
    images = root / "images"
    images.mkdir()
    for number, image in enumerate(sources.load(run.settings.data).test):
        path = images / f"a rather long name of a micrograph, number {number}.png"
        Image.fromarray(image[..., 0]).save(path)
    (images / "bad.png").touch()
    inspect(detector, images, root / "out")
    return [root / name / "report.html" for name in ("training", "thesis_tiles", "pixel", "out")]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as tool:
        opened = tool.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_every_report_opens_cleanly(pages, browser, scheme, width):
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True
    )
    for path in pages:
        page, trouble = context.new_page(), []
        page.on("console", lambda message: trouble.append(message.text))  # noqa: B023
        page.on("pageerror", lambda error: trouble.append(str(error)))  # noqa: B023
        page.on("request", lambda request: trouble.append(request.url))  # noqa: B023
        page.goto(path.as_uri())
        assert [one for one in trouble if not one.startswith((path.as_uri(), "data:"))] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Those further down are not decoded before they are seen.
        broken = """async () => {
          for (const image of document.images) image.loading = "eager";
          const done = await Promise.allSettled([...document.images].map((i) => i.decode()));
          return done.filter((one) => one.status === "rejected").length;
        }"""
        assert (page.evaluate("document.images.length") > 0, page.evaluate(broken)) == (True, 0)
        with Image.open(io.BytesIO(page.screenshot())) as shot:
            corner = shot.convert("L").getpixel((2, 2))
        text = page.evaluate("getComputedStyle(document.body).color")
        light = scheme == "light"
        assert (corner > 200, text == "rgb(0, 0, 0)") == (light, light), (corner, text)
        page.close()
    context.close()
