"""The report of a run: what it shows after training alone, and of evaluations by an older semad."""

import json

import pytest

from semad.config.settings import resolve
from semad.reports.run import write_report
from tests import tiny

CHOSEN = {"score": "l2", "smoothing": 4.0, "value": 0.5}
FIGURES = dict.fromkeys(("auroc", "average_precision", "precision", "recall", "f1"), 0.75)


def evaluation(**selection):
    """What metrics.json holds of a single member, as little as the report needs."""
    score = FIGURES | {"threshold": 0.1, "transductive": {}}
    return FIGURES | {
        "method": "autoencoder",
        "dataset": "a set",
        "protocol": "one_class",
        "seed": 0,
        "step": 7,
        "score": "l2",
        "scores": {"l2": score},
        "n_test": 9,
        "n_available": 9,
        "n_anomalous": 4,
        "threshold": {"rule": "normal_quantile", "value": 0.1},
        "baselines": {"contrast": {"auroc": 0.5, "average_precision": 0.5}},
        "selection": selection,
        "reconstruction_spread": [0.5],
        "seconds": 1.0,
        "training_seconds": 2.0,
        "config": {"score": {"threshold_rule": "normal_quantile"}},
    }


def test_after_training_alone(tmp_path):
    write_report(tmp_path, resolve(tiny.config("autoencoder")))
    page = (tmp_path / "report.html").read_text()
    assert "<h1>autoencoder on digits</h1>" in page
    assert "<td>config.data.patch_size</td><td>16</td>" in page


@pytest.mark.parametrize("key", ["excluded_families", "practised"])
def test_the_newest_evaluation_of_an_older_semad_is_shown(tmp_path, key):
    settings = resolve(tiny.config("autoencoder"))
    selection = {key: ["cutpaste", "film"], "chosen": CHOSEN, "runner_up": CHOSEN, "pooling": "max"}
    folder = tmp_path / "evaluation/one_class"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(evaluation(**selection)))
    write_report(tmp_path, settings)
    page = (tmp_path / "report.html").read_text()
    assert "without cutpaste and film, which are like what it trained on" in page
    assert "smoothed by σ 4.0" in page
