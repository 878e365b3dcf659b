"""What is stopped in the middle goes on where it was, and ends as if nothing had happened."""

import json

import numpy as np
import pytest

from semad.errors import CannotWrite
from semad.evaluation.evaluate import evaluate
from semad.run import workdir as workdirs
from semad.scoring import chunks, unfinished
from semad.scoring.batched import PatchScores
from semad.scoring.items import score_items
from semad.scoring.unfinished import Unfinished
from semad.training.loop import train
from tests import tiny

IMAGES = [np.random.default_rng(0).integers(0, 256, (16, 16, 1), np.uint8) for _ in range(23)]
ITEMS = np.array([[row, 0, 0] for row in range(23)], np.int32)


class Stopped(Exception):
    pass


def make_scorer(calls, limit=100):
    def scorer(member, patches, absent=None):
        if len(calls) == limit:
            raise Stopped
        calls.append(len(patches))
        images = patches.astype(np.float32)
        return PatchScores({"mean": images.mean((1, 2, 3))}, {}, images / 255)

    return scorer


def score(scorer, kept):
    return score_items(
        scorer, None, IMAGES, ITEMS, patch_size=16, chunk=4, keep=(1, 9, 22), unfinished=kept
    )


def test_items_go_on_where_they_were(tmp_path):
    with pytest.raises(Stopped):
        score(make_scorer([], limit=3), Unfinished(tmp_path / "kept", "a", every=0))
    calls = []
    scores = score(make_scorer(calls), Unfinished(tmp_path / "kept", "a", every=0))
    assert len(calls) == 3  # of six chunks three were done
    whole = score(make_scorer([]), Unfinished(None))
    np.testing.assert_array_equal(scores.values["mean"], whole.values["mean"])
    assert scores.reconstructions.keys() == {1, 9, 22}
    for position, image in whole.reconstructions.items():
        np.testing.assert_array_equal(scores.reconstructions[position], image)


def test_what_has_another_origin_is_not_used(tmp_path):
    folder = tmp_path / "kept"
    score(make_scorer([]), Unfinished(folder, "a", every=0))
    calls = []
    score(make_scorer(calls), Unfinished(folder, "a", every=0))
    assert not calls
    score(make_scorer(calls), Unfinished(folder, "b", every=0))
    assert len(calls) == 6


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


SPOILT = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "halved": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "flipped": lambda path: flip(path, 8 * path.stat().st_size // 2),
    "renamed": lambda path: path.rename(path.with_name("scoring_00000004_x.npz")),
}


@pytest.mark.parametrize("how", SPOILT)
def test_damaged_blocks_are_computed_again(tmp_path, how):
    folder = tmp_path / "kept"
    whole = score(make_scorer([]), Unfinished(folder, "a", every=0))
    second = sorted(folder.glob("*.npz"))[1]
    SPOILT[how](second)
    calls = []
    scores = score(make_scorer(calls), Unfinished(folder, "a", every=0))
    assert len(calls) == 5
    np.testing.assert_array_equal(scores.values["mean"], whole.values["mean"])


def test_blocks_of_two_processes_are_not_mixed_up(tmp_path):
    """Both write to one folder, at different places."""
    kept = Unfinished(tmp_path / "kept", "a", every=0)
    for first, count in ((0, 4), (0, 6), (4, 4), (6, 3), (8, 4)):
        kept.append("a", first, count, {"rows": np.arange(first, first + count)})
    blocks, length = kept.read("a")
    assert length == 9
    assert np.concatenate([block["rows"] for block in blocks]).tolist() == list(range(9))


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "kept"
    with pytest.raises(CannotWrite):
        Unfinished(folder, "a").append("a", 0, 1, {"rows": np.zeros(1)})
    kept = Unfinished(folder, "a", every=0, required=False)
    kept.append("a", 0, 1, {"rows": np.zeros(1)})
    assert not kept.due()


def test_a_stop_of_items_loses_nothing(tmp_path):
    def stopping(calls):
        scorer = make_scorer(calls)

        def call(member, patches, absent=None):
            if len(calls) == 3:
                raise KeyboardInterrupt
            return scorer(member, patches)

        return call

    with pytest.raises(KeyboardInterrupt):
        score(stopping([]), Unfinished(tmp_path / "kept", "a"))
    calls = []
    scores = score(make_scorer(calls), Unfinished(tmp_path / "kept", "a"))
    assert len(calls) == 3
    assert scores.reconstructions.keys() == {1, 9, 22}


def test_short_work_leaves_nothing(tmp_path):
    score(make_scorer([]), Unfinished(tmp_path / "kept", "a"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("protocol", ["thesis_tiles", "pixel"])
def test_an_evaluation_goes_on_where_it_was(protocol, tmp_path, monkeypatch):
    settings = {"data__name": "nanofibres", "data__image_size": 72, "data__train_images": 2}
    run = tiny.prepare("autoencoder", population__seeds=2, eval__protocol=protocol, **settings)
    workdirs.store(tmp_path, run)
    state = train(run, tmp_path)
    whole = evaluate(run, state, tmp_path)
    monkeypatch.setattr(unfinished, "_EVERY", 0.0)
    counted, limit = [], {"calls": 3}
    score_chunks = chunks.score_chunks

    def limited(*arguments, **named):
        for part in score_chunks(*arguments, **named):
            counted.append(part)
            if len(counted) > limit["calls"]:
                raise Stopped
            yield part

    for module in ("items", "maps"):
        monkeypatch.setattr(f"semad.scoring.{module}.score_chunks", limited)
    with pytest.raises(Stopped):
        evaluate(run, state, tmp_path)
    assert (tmp_path / f"evaluation/.{protocol}.unfinished/origin").is_file()
    limit["calls"] = 10**6
    counted.clear()
    again = evaluate(run, state, tmp_path)
    total = len(counted)
    counted.clear()
    evaluate(run, state, tmp_path)  # nothing is left of it
    assert 0 < total < len(counted)
    for result in (whole, again):
        for key in ("seconds", "versions"):
            del result[key]
    assert json.dumps(again) == json.dumps(whole)
    names = {path.name for path in (tmp_path / "evaluation").iterdir()}
    assert names == {protocol, f"{protocol}.1", f"{protocol}.2"}
