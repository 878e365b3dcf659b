"""Evaluation of every system: the files of the interface, from a restored checkpoint."""

import json
import math

import jax
import numpy as np
import pytest
from PIL import Image

from semad.config import files
from semad.config.settings import with_values
from semad.errors import CannotWrite, UserError
from semad.pipeline import evaluate
from semad.run import workdir as workdirs
from semad.run.prepare import prepare
from semad.run.system import with_settings
from semad.training.loop import train
from tests import tiny

KEYS = {
    "method", "dataset", "protocol", "seed", "n_test", "n_anomalous", "score", "auroc",
    "average_precision", "threshold", "precision", "recall", "f1", "scores", "baselines",
    "seconds", "versions",
}  # fmt: skip


@pytest.fixture(scope="module", params=tiny.NAMES)
def evaluated(request, tmp_path_factory):
    workdir = tmp_path_factory.mktemp(request.param)
    run = tiny.prepare(request.param)
    workdirs.store(workdir, run)
    return evaluate(run, train(run, workdir), workdir), workdir


def test_metrics_file(evaluated):
    result, workdir = evaluated
    stored = json.loads((workdir / "evaluation/one_class/metrics.json").read_text())
    assert stored == json.loads(json.dumps(result))
    assert stored.keys() >= KEYS
    assert stored["n_test"] == 40
    assert stored["n_available"] > 40
    assert stored["threshold"]["rule"] == "normal_quantile"
    assert stored["score"] in stored["scores"]
    assert ({"l1", "l2"} <= stored["scores"].keys()) == (stored["method"] in tiny.RECONSTRUCTING)
    assert stored["baselines"].keys() == {"brightness", "contrast", "local_minimum"}
    own = stored["scores"][stored["score"]]
    assert own["auroc"] == stored["auroc"]
    assert own["threshold"] == stored["threshold"]["value"]
    assert "80" in own["transductive"]


def test_scores_file_holds_what_the_metrics_were_made_of(evaluated):
    result, workdir = evaluated
    arrays = np.load(workdir / "evaluation/one_class/scores.npz", allow_pickle=False)
    scores, labels = arrays[f"score/{result['score']}"], arrays["labels"]
    assert scores.shape == labels.shape == (40,)
    assert labels.sum() == result["n_anomalous"]
    above = scores[labels][:, None] - scores[~labels][None]
    auroc = ((above > 0) + 0.5 * (above == 0)).mean()
    assert auroc == pytest.approx(result["auroc"])
    held = arrays[f"holdout_score/{result['score']}"]
    rank = math.ceil((len(held) + 1) * 0.95)  # split-conformal
    assert np.sort(held)[rank - 1] == pytest.approx(result["threshold"]["value"], rel=1e-6)
    assert len(arrays["image_ids"]) > arrays["items"][:, 0].max()


def test_figures_and_report(evaluated):
    result, workdir = evaluated
    reconstructs = result["method"] in tiny.RECONSTRUCTING
    names = ("roc", "pr", "histogram", *["reconstructions"] * reconstructs)
    for name in names:
        with Image.open(workdir / f"evaluation/one_class/{name}.png") as image:
            assert min(image.size) > 200
    page = (workdir / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(names) + 2  # the losses, and the cases
    assert "http" not in page.replace("http-equiv", "")
    assert f"{result['auroc']:.3f}" in page


def test_a_restored_checkpoint_scores_the_same(evaluated):
    result, workdir = evaluated
    run = prepare(files.load(workdir))
    state = workdirs.restore(workdir, run.system)
    again = evaluate(run, state, workdir)
    for key in ("auroc", "average_precision", "threshold", "scores", "baselines"):
        assert again[key] == result[key]
    # Nothing was overwritten: the first result has another name now.
    older = json.loads((workdir / "evaluation/one_class.1/metrics.json").read_text())
    assert older["auroc"] == result["auroc"]


def test_a_population_reports_members_mean_and_spread(tmp_path):
    run = tiny.prepare("autoencoder", population__seeds=2)
    result = evaluate(run, train(run, tmp_path), tmp_path)
    areas = [member["auroc"] for member in result["members"]]
    assert [member["seed"] for member in result["members"]] == [0, 1]
    assert result["mean"]["auroc"] == result["auroc"] == pytest.approx(np.mean(areas))
    assert result["threshold"]["value"] is None  # each member has its own
    assert all(member["threshold"]["value"] > 0 for member in result["members"])
    page = (tmp_path / "report.html").read_text()
    assert f"{result['mean']['f1']:.3f} ± {result['std']['f1']:.3f}" in page
    assert result["std"]["auroc"] == pytest.approx(np.std(areas, ddof=1))
    arrays = np.load(tmp_path / "evaluation/one_class/scores.npz")
    assert arrays["score/l2"].shape == (2, 40)
    assert (arrays["score/l2"][0] != arrays["score/l2"][1]).all()


def test_a_failed_evaluation_leaves_nothing(tmp_path, monkeypatch):
    run = tiny.prepare("autoencoder")
    state = train(run, tmp_path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("semad.evaluation.item_files.write_scores", fail)
    with pytest.raises(CannotWrite, match="evaluation/one_class: cannot be written.*No space"):
        evaluate(run, state, tmp_path)
    assert list((tmp_path / "evaluation").iterdir()) == []
    assert not (tmp_path / "report.html").exists()


def test_a_score_that_is_not_finite_is_no_result(tmp_path):
    run = tiny.prepare("autoencoder")
    state = train(run, tmp_path)
    broken = jax.tree.map(lambda leaf: leaf * np.nan, state.ema)
    with pytest.raises(UserError, match="the score l1 is not finite"):
        evaluate(run, state._replace(ema=broken), tmp_path)
    assert list((tmp_path / "evaluation").iterdir()) == []


def test_neither_training_nor_the_kept_state_depends_on_the_test_set(tmp_path):
    states = []
    for number in range(2):
        run = tiny.prepare("autoencoder", train__validate_every=4)
        if number:
            source = run.source
            other = [255 - image for image in source.test]
            run = run._replace(source=source._replace(test=other, labels=~source.labels))
        newest = train(run, tmp_path / str(number))
        states.append((newest, workdirs.restore(tmp_path / str(number), by_best(run))))
    for one, other in zip(*states, strict=True):
        for a, b in zip(*(jax.tree.leaves(state.ema) for state in (one, other)), strict=True):
            np.testing.assert_array_equal(a, b)


def by_best(run):
    best = with_values(run.settings, {"eval.checkpoint": "best"})
    return with_settings(run.system, best)


def test_a_score_is_what_it_is_whatever_else_is_tested(tmp_path):
    """No rescaling over the test set: the items of a subset score the same to the bit."""
    found = []
    for count in (0, 25):
        run = tiny.prepare("ganomaly", train__epochs=0, eval__max_items=count)
        workdir = tmp_path / str(count)
        result = evaluate(run, train(run, workdir), workdir)
        arrays = np.load(workdir / "evaluation/one_class/scores.npz", allow_pickle=False)
        scores = arrays[f"score/{result['score']}"]
        found.append(dict(zip(map(tuple, arrays["items"]), scores, strict=True)))
    everything, some = found
    assert len(some) == 25
    assert all(score == everything[item] for item, score in some.items())
