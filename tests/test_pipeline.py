"""From a config to a trained and evaluated workdir: `semad.train_and_evaluate` and its parts."""

import json

import numpy as np
import pytest

import semad
from semad import pipeline
from semad.config import files
from semad.config.settings import resolve
from semad.data import sources
from semad.errors import UserError
from semad.evaluation import evaluate as evaluation
from semad.utils.versions import checksum, versions
from tests import tiny
from tests.complaints import one_line

STEPS = 7
"""Of an epoch."""


def config(**changes):
    return tiny.config("autoencoder", **changes)


def log(workdir):
    return [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("pipeline") / "new" / "run"
    return workdir, semad.train_and_evaluate(config(), str(workdir))


def test_what_it_writes_and_returns(trained):
    workdir, result = trained
    assert {path.name for path in workdir.iterdir()} == {
        "config.json", "versions.json", "checkpoints", "best", "log.jsonl", "tensorboard",
        "evaluation", "report.html", "samples", "samples.gif", "normal.npz", "sha256.json",
    }  # fmt: skip
    assert [path.name for path in (workdir / "evaluation").iterdir()] == ["one_class"]
    names = {path.name for path in (workdir / "evaluation/one_class").iterdir()}
    assert names >= {"metrics.json", "scores.npz", "roc.png", "pr.png", "histogram.png"}
    stored = json.loads((workdir / "evaluation/one_class/metrics.json").read_text())
    assert stored == json.loads(json.dumps(result))
    assert (stored["method"], stored["step"]) == ("autoencoder", STEPS)
    assert (workdir / f"checkpoints/{STEPS}").is_dir()
    assert resolve(files.load(workdir)) == resolve(config())
    assert f"{result['auroc']:.3f}" in (workdir / "report.html").read_text()


def test_the_versions_of_a_run(trained):
    workdir, _ = trained
    stored = json.loads((workdir / "versions.json").read_text())
    train = sources.load(resolve(config()).data).train
    padded = pipeline.prepare_in(workdir, config()).source.train
    assert len(padded) == len(train)
    about = {"training_images_sha256": checksum(padded), "training_images_bit_depth": 0}
    assert stored == versions() | about


def test_the_same_call_trains_no_further_and_evaluates_again(trained):
    workdir, result = trained
    before = log(workdir)
    again = semad.train_and_evaluate(config(), workdir)
    assert log(workdir) == before
    for key in ("auroc", "average_precision", "threshold", "scores", "baselines", "step"):
        assert again[key] == result[key]
    older = json.loads((workdir / "evaluation/one_class.1/metrics.json").read_text())
    assert older == json.loads(json.dumps(result))


def test_more_epochs_go_on_to_where_they_would_have_led(trained, tmp_path):
    """To the same weights as a run that was never stopped."""
    pipeline.train(pipeline.prepare_in(tmp_path / "parts", config()), tmp_path / "parts")
    longer = config(train__epochs=2)
    results = {}
    for name in ("parts", "whole"):
        results[name] = semad.train_and_evaluate(longer, tmp_path / name)
    assert results["parts"]["step"] == 2 * STEPS
    assert results["parts"]["scores"] == results["whole"]["scores"]
    assert files.load(tmp_path / "parts").train.epochs == 2
    lines = log(tmp_path / "parts")
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert lines[-1]["step"] == 2 * STEPS


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 5}, "config.seed = 0, not 5"),
        ({"train__batch_size": 8}, "config.train.batch_size = 16, not 8"),
        ({"population__seeds": 2}, "config.population.seeds = 1, not 2"),
    ],
)
def test_another_run_is_refused(trained, changes, says):
    workdir, _ = trained
    before = (workdir / "config.json").read_text()
    one_line(lambda: semad.train_and_evaluate(config(**changes), workdir), workdir, says)
    one_line(lambda: pipeline.stored_system(workdir, config(**changes)), workdir, says)
    assert (workdir / "config.json").read_text() == before


def test_another_system_is_refused(trained):
    workdir, _ = trained
    message = one_line(lambda: semad.train_and_evaluate(tiny.config("bigan"), workdir))
    assert "config.method = 'autoencoder', not 'bigan'" in message


def test_other_training_images_are_refused(trained, monkeypatch):
    workdir, _ = trained
    load = sources.SOURCES["digits"]

    def swapped(data):
        source = load(data)
        return source._replace(train=[255 - image for image in source.train])

    monkeypatch.setitem(sources.SOURCES, "digits", swapped)
    one_line(lambda: semad.train_and_evaluate(config(), workdir), workdir, "other training images")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"eval__protocol": "pixel"}, "does not suit the data set"),
        ({"score__name": "best"}, "config.score.name is 'best'; autoencoder has: l1"),
        ({"data__name": "digit"}, "unknown data set"),
        ({"eval__checkpoint": "best", "train__validate_every": 0}, "no best checkpoint"),
    ],
)
def test_what_cannot_end_well_does_not_begin(tmp_path, changes, says):
    workdir = tmp_path / "run"
    one_line(lambda: semad.train_and_evaluate(config(**changes), workdir), says)
    assert not (workdir / "checkpoints").exists()


def test_the_best_state_is_evaluated_where_it_is_asked_for(tmp_path):
    wanted = config(eval__checkpoint="best", train__validate_every=3)
    result = semad.train_and_evaluate(wanted, tmp_path)
    kept = [int(path.name) for path in (tmp_path / "best").iterdir() if path.name.isdigit()]
    assert kept == [result["step"]]


def test_the_stored_system(trained):
    workdir, _ = trained
    system = pipeline.stored_system(workdir)
    assert system.settings == resolve(config())
    changed = files.load(workdir)
    changed.score.name = "ssim"
    assert pipeline.stored_system(workdir, changed).scoring.score == "ssim"
    with pytest.raises(UserError, match="no run here"):
        pipeline.stored_system(workdir / "none")


@pytest.fixture
def as_nanotwice(monkeypatch):
    """Digits under the name of the data set whose evaluations are noted."""
    load = sources.SOURCES["digits"]
    monkeypatch.setitem(
        sources.SOURCES, "digits", lambda data: load(data)._replace(name="nanotwice")
    )


def test_the_ledger_is_written_where_a_path_is_given_alone(as_nanotwice, tmp_path, monkeypatch):
    noted, note = [], evaluation.ledgers.note

    def counted(result, path):
        noted.append(path)
        note(result, path)

    monkeypatch.setattr(evaluation.ledgers, "note", counted)
    ledger = tmp_path / "ledger.jsonl"
    semad.train_and_evaluate(config(), tmp_path / "run")
    assert not noted
    assert not ledger.exists()
    result = semad.train_and_evaluate(
        config(eval__purpose="a candidate"), tmp_path / "run", ledger=ledger
    )
    assert noted == [ledger]
    (line,) = map(json.loads, ledger.read_text().splitlines())
    assert (line["purpose"], line["auroc"]) == ("a candidate", result["auroc"])
    assert "purpose" in line["config"]["eval"]
    assert files.load(tmp_path / "run").eval.purpose is None  # of this call alone


def test_an_evaluation_without_a_report(trained, tmp_path):
    """The report is the pipeline's; an evaluation by itself writes the results alone."""
    workdir, result = trained
    run = pipeline.prepare_in(workdir, config())
    state = pipeline.workdirs.restore(workdir, run.system)
    again = evaluation.evaluate(run, state, workdir, tmp_path)
    assert again["scores"] == result["scores"]
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation"]
    pipeline.evaluate(run, state, workdir, tmp_path)
    assert (tmp_path / "report.html").is_file()
    np.testing.assert_array_equal(state.step, [STEPS])
