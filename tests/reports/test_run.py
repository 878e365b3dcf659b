"""The report of a run: what it shows after training alone, and of evaluations by an older semad."""

import html
import json
import os

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


def stored(workdir, **changes):
    """An evaluation in a workdir."""
    folder = workdir / "evaluation/one_class"
    folder.mkdir(parents=True, exist_ok=True)
    result = evaluation(chosen=CHOSEN, runner_up=CHOSEN, pooling="max", excluded_families=[])
    path = folder / "metrics.json"
    path.write_text(json.dumps(result | changes))
    return path


def page_of(workdir):
    write_report(workdir, resolve(tiny.config("autoencoder")))
    return html.unescape((workdir / "report.html").read_text())


def write_log(workdir, *steps, spread=0.5):
    line = {"phase": "autoencoder", "epoch": 1, "autoencoder/loss": 1.0, "seconds": 1.0}
    line["reconstructions/spread"] = spread
    text = "".join(json.dumps(line | {"step": step}) + "\n" for step in steps)
    (workdir / "log.jsonl").write_text(text)


DAMAGE = ["", "{", "[]", "3", "{}", '{"step": 7}', "\x00\xff", "[" * 100_000]


@pytest.mark.parametrize("content", DAMAGE)
def test_a_damaged_evaluation_is_left_out(tmp_path, caplog, content):
    stored(tmp_path).write_bytes(content.encode("latin-1"))
    assert "Trained, not evaluated yet" in page_of(tmp_path)
    (record,) = caplog.records
    assert "damaged, and left out of the report" in record.message
    assert "\n" not in record.message


def test_every_key_of_an_evaluation_may_be_lost_or_of_another_type(tmp_path, caplog):
    for key in evaluation():
        for value in (None, [], "x"):
            path = stored(tmp_path, **{key: value})
            page_of(tmp_path)
        content = json.loads(path.read_text())
        del content[key]
        path.write_text(json.dumps(content))
        page_of(tmp_path)
    assert caplog.records  # some of them say nothing without it


def test_an_older_whole_evaluation_stands_in_for_a_damaged_one(tmp_path, caplog):
    old = stored(tmp_path)
    new = tmp_path / "evaluation/pixel/metrics.json"
    part = tmp_path / "evaluation/.one_class.part-1/metrics.json"
    for path in (new, part):
        path.parent.mkdir()
        path.write_text("{")
        os.utime(path, (2e9, 2e9))
    os.utime(old, (1e9, 1e9))
    assert "training step 7" in page_of(tmp_path)
    assert [str(new) in record.message for record in caplog.records] == [True]


def test_a_damaged_log_is_read_as_far_as_it_goes(tmp_path):
    write_log(tmp_path, 10, 20)
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b'{"step": 30, "pha\n\xff\xfe\n[1]\n{"step": "x"}\n{"step": 40}\n')
    assert "To step 20" in page_of(tmp_path)
    with (tmp_path / "log.jsonl").open("a") as file:
        line = {"phase": [], "epoch": {}, "step": 50, "autoencoder/loss": [1.0, {}]}
        file.write(json.dumps(line) + "\n")
    assert "To step 50" in page_of(tmp_path)


def test_an_evaluation_of_an_earlier_step_is_marked(tmp_path):
    says = "Stale: the evaluation below is of step 7, and training has gone on to step 9"
    stored(tmp_path)
    write_log(tmp_path, 7)
    assert "Stale" not in page_of(tmp_path)
    write_log(tmp_path, 7, 9)
    assert says in page_of(tmp_path)
    (tmp_path / "log.jsonl").unlink()
    (tmp_path / "checkpoints/9").mkdir(parents=True)
    assert says in page_of(tmp_path)
    best = {"score": {"threshold_rule": "normal_quantile"}, "eval": {"checkpoint": "best"}}
    stored(tmp_path, config=best)  # of a step that was the best: it is earlier by intention
    assert "Stale" not in page_of(tmp_path)


def test_cautions_health_and_history_are_on_the_first_screen(tmp_path):
    history = [{"date": "2026-01-02", "step": 4, "diverged_at": 6, "changes": {"lr.e": [1, 0.1]}}]
    stored(tmp_path, cautions=["A mask is all black."], health=["It is ill."], history=history)
    first, figures, _ = page_of(tmp_path).partition("<h2>Figures")
    assert figures
    for text in (
        "A mask is all black.",
        "It is ill.",
        "Training diverged at step 6 and went on from step 4 (2026-01-02) with other values: "
        "config.lr.e was 1 and is now 0.1.",
    ):
        assert f'<p class="note">{text}</p>' in first


def test_health_is_that_of_the_log_at_hand(tmp_path):
    ill = "reconstructions hardly depend on what they rebuild"
    write_log(tmp_path, 5, spread=0.01)
    assert ill in page_of(tmp_path)  # before an evaluation too
    write_log(tmp_path, 5, spread=0.5)
    stored(tmp_path, health=["It was ill."])
    assert "It was ill." not in page_of(tmp_path)
    write_log(tmp_path, 5, spread=0.01)
    assert ill not in page_of(tmp_path)  # the evaluation has measured it: 0.5
    stored(tmp_path, reconstruction_spread=[0.02])
    assert "hardly depend on what they rebuild (spread 0.02" in page_of(tmp_path)
