"""The protocol `pixel`, from a trained state to its files."""

import json

import numpy as np
import pytest
from PIL import Image

from semad import pictures
from semad.config.settings import with_values
from semad.errors import UserError
from semad.evaluation.evaluate import check
from semad.metrics import pixels
from semad.pipeline import evaluate
from semad.run.system import with_settings
from semad.run.workdir import restore
from semad.scoring.baselines import baseline_maps
from semad.training.loop import train
from tests import tiny

SETTINGS = {
    "data__name": "nanofibres",
    "data__image_size": 72,
    "data__crops_per_image": 16,
    "eval__protocol": "pixel",
    "eval__max_items": 0,
    "score__stride": 8,
    "score__smoothing": 1.5,
}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("pixel")
    run = tiny.prepare("autoencoder", population__seeds=2, **SETTINGS)
    check(run)
    return evaluate(run, train(run, workdir), workdir), workdir, run


def test_metrics_file(evaluated):
    result, workdir, run = evaluated
    stored = json.loads((workdir / "evaluation/pixel/metrics.json").read_text())
    assert stored == json.loads(json.dumps(result))
    assert (stored["protocol"], stored["n_images"]) == ("pixel", 4)
    assert stored["n_test"] == stored["n_available"] == 4 * 72 * 72
    assert stored["n_anomalous"] == sum(mask.sum() for mask in run.source.masks)
    assert stored["baselines"].keys() == {"brightness", "contrast", "local_minimum"}
    for one in (*stored["members"], *stored["baselines"].values()):
        assert {"auroc", "average_precision", "tpr_at_fpr", "region_overlap"} <= one.keys()
    assert stored["baselines"]["contrast"]["tiles"].keys() == {"max", "mean"}
    member = stored["members"][0]
    own = member["scores"]["l2"]
    assert own["auroc"] == member["auroc"]
    assert own["intervals"]["auroc"][0] <= own["auroc"] <= own["intervals"]["auroc"][1]
    assert own["tiles"].keys() == {"max", "mean"}
    assert 0 <= own["coverage"]["mean"] <= 1
    assert 0 <= own["false_positive_rate"] <= 1
    # Two members, so their maps' mean is ranked as well.
    together = stored["ensemble"]
    assert together.keys() == {*pixels.pixel_metric_names(), "tiles", "intervals"}
    assert 0 < together["auroc"] < 1
    means = [one["region_overlap"] for one in stored["members"]]
    assert stored["mean"]["region_overlap"] == pytest.approx(np.mean(means))


def test_figures_overlays_and_report(evaluated):
    result, workdir, run = evaluated
    folder = workdir / "evaluation/pixel"
    overlays = sorted(path.stem for path in (folder / "maps").iterdir())
    assert overlays == sorted(run.source.test_ids)
    with Image.open(folder / "maps" / f"{overlays[0]}.png") as image:
        assert image.size == (72, 72)
    page = (workdir / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5  # with the losses, and the cases
    assert f"{result['mean']['region_overlap']:.3f}" in page
    assert "pixels of 4 images" in page


def test_counts_of_every_member_and_baseline(evaluated):
    result, workdir, _ = evaluated
    counted = pixels.load(workdir / "evaluation/pixel/scores.npz")
    assert counted.keys() == {"0", "1", *result["baselines"]}
    for number, one in enumerate(result["members"]):
        counts = counted[str(number)]
        assert counts.normal.shape == (4, len(counts.edges) + 1)
        assert counts.anomalous.sum() == result["n_anomalous"]
        assert pixels.pixel_metrics(counts)["auroc"] == one["auroc"]
    assert counted["contrast"].normal.sum() == result["n_test"] - result["n_anomalous"]


def test_the_choice_knows_no_test_label(evaluated, tmp_path):
    _, workdir, run = evaluated
    system = with_settings(run.system, with_values(run.settings, {"select": "synthetic"}))
    state = restore(workdir, run.system)
    found = []
    for number, masks in enumerate((run.source.masks, [~mask for mask in run.source.masks])):
        own = run._replace(system=system, source=run.source._replace(masks=masks))
        result = evaluate(own, state, tmp_path / str(number))
        assert result["score"] == result["selection"]["chosen"]["score"]
        assert result["config"]["score"]["smoothing"] == result["selection"]["chosen"]["smoothing"]
        found.append(result["selection"])
    assert found[0] == found[1]
    page = (tmp_path / "0" / "report.html").read_text()
    assert "Chosen without a label" in page
    for key in ("smoothing", "pooling"):  # as it scored, not as it was asked to
        value = found[0]["chosen"].get(key, found[0]["pooling"])
        assert f"<td>config.score.{key}</td><td>{value}</td>" in page


def test_the_colours_of_an_overlay(tmp_path):
    image = np.full((1, 4, 1), 100, np.uint8)
    mask = np.array([[True, True, False, False]])
    found = np.array([[True, False, True, False]])
    pictures.overlay(tmp_path / "o.png", image, mask, found)
    with Image.open(tmp_path / "o.png") as opened:
        pixels = np.asarray(opened)[0].tolist()
    assert pixels == [[60, 162, 60], [60, 60, 162], [162, 60, 60], [100, 100, 100]]


def test_baseline_maps_by_hand():
    image = np.zeros((40, 40, 1), np.uint8)
    image[20, 20] = 225
    found = baseline_maps(image)
    assert found["brightness"][20, 20] == pytest.approx(1)  # 225 / 15²
    assert found["brightness"][20, 28] == pytest.approx(0)
    assert found["contrast"][20, 20] == pytest.approx(-np.sqrt(225 - 1))
    assert found["local_minimum"].max() == 0


def test_a_set_without_masks_has_no_pixels():
    with pytest.raises(UserError, match="does not suit the data set"):
        check(tiny.prepare("autoencoder", eval__protocol="pixel"))
