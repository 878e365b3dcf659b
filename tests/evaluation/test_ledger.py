"""The ledger of looks at NanoTWICE's labels."""

import json

import pytest

from semad.evaluation import ledger


def result(dataset="nanotwice", purpose=None):
    config = {"data": {"name": dataset, "dir": "/somewhere"}, "eval": {"purpose": purpose}}
    figures = dict.fromkeys(("method", "protocol", "seed", "n_test", "score"), "x")
    figures |= {"auroc": 0.5, "average_precision": 0.1, "dataset": dataset}
    return figures | {"config": config, "versions": {"commit": "abc"}}


def test_every_look_is_a_line(tmp_path):
    path = tmp_path / "ledger.jsonl"
    ledger.note(result(), path)
    ledger.note(result("nanotwice/unverified", "a candidate"), path)
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["purpose"], second["purpose"]) == ("not stated", "a candidate")
    assert first["commit"] == "abc"
    assert first["auroc"] == 0.5
    assert "dir" not in first["config"]["data"]  # a path of somebody's machine


@pytest.mark.parametrize("dataset", ["nanofibres", "tfds:mnist/normal=1"])
def test_other_data_are_not_noted(tmp_path, dataset):
    ledger.note(result(dataset), tmp_path / "ledger.jsonl")
    assert not any(tmp_path.iterdir())


def test_a_ledger_that_cannot_be_written_is_no_reason_to_lose_the_result(tmp_path, caplog):
    ledger.note(result(), tmp_path / "not there" / "ledger.jsonl")
    assert not any(tmp_path.iterdir())
    (message,) = caplog.messages
    assert message.startswith("this look is not in the ledger")
