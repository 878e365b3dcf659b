"""Training that goes wrong is recognised: by hand-made figures, and provoked in real training."""

import logging

import pytest

from semad.training.health import Alarm, Watch, ailments
from semad.training.logs import read_log
from semad.training.loop import train
from tests import tiny


def lines(name, values, phase="gan", every=10, first=0):
    return [
        {"phase": phase, "step": first + every * (number + 1), name: value}
        for number, value in enumerate(values)
    ]


def kinds(log):
    return [ailment.kind for ailment in ailments(log)]


@pytest.mark.parametrize(
    ("name", "ill", "well", "kind"),
    [
        ("generator/spread", 0.049, 0.05, "collapsed"),
        ("samples/spread", 0.049, 0.05, "collapsed"),
        ("discriminator/hinge_active", 0.009, 0.01, "dead"),
        ("reconstructions/spread", 0.09, 0.1, "constant"),
    ],
)
def test_the_last_fifth_of_a_phase_counts(name, ill, well, kind):
    """Ten lines: the last fifth are the last two."""
    assert kinds(lines(name, [well] * 10)) == []
    assert kinds(lines(name, [well] * 8 + [ill] * 2)) == [kind]
    assert kinds(lines(name, [well] * 9 + [ill])) == []
    assert kinds(lines(name, [ill] * 9 + [well])) == []
    assert kinds(lines(name, [ill] * 8 + [well, ill])) == []
    assert kinds(lines(name, [ill])) == [kind]  # a run shorter than a line of the log
    (ailment,) = ailments(lines(name, [ill] * 10))
    assert ailment.sentence.startswith("Step 100 of training (phase gan): ")
    assert f"{name} is {ill:.2g}" in ailment.sentence or f"share of {ill}" in ailment.sentence


def test_a_discriminator_has_won_by_both_parts_of_its_loss():
    def log(real, generated):
        line = {"d/real": real, "d/generated": generated, "d/saturation": 0.99}
        return [{"phase": "gan", "step": step, **line} for step in (50, 100)]

    (ailment,) = ailments(log(0.009, 0.01))
    assert (ailment.kind, ailment.figure) == ("won", "d/saturation")
    assert "0.019, where 1.4 is undecided" in ailment.sentence
    assert kinds(log(0.01, 0.01)) == kinds(log(0.0, 3.0)) == []  # the second is sure, and wrong
    pair = [{"phase": "p", "step": 9, "d/xz_real": 0, "d/xz_generated": 0, "d/xz_saturation": 1}]
    assert kinds(pair) == ["won"]


def test_members_are_judged_one_by_one():
    (ailment,) = ailments(lines("generator/spread", [[0.5, 0.02, 0.01]] * 10))
    assert "(phase gan, 2 of 3 members)" in ailment.sentence
    assert "is 0.01," in ailment.sentence
    turns = [[0.01, 0.5], [0.5, 0.01]] * 5  # each line has somebody, nobody has it for long
    assert kinds(lines("generator/spread", turns)) == []


def test_phases_are_judged_one_by_one():
    """Before its encoder is trained a system's reconstructions are constant, as they must be."""
    name = "reconstructions/spread"
    first, second = lines(name, [0.0] * 5), lines(name, [0.5] * 5, "encoder", first=50)
    assert kinds(first + second) == []
    assert kinds(second[:3] + lines(name, [0.0] * 5, "return", first=80)) == ["constant"]
    collapsed = lines("generator/spread", [0.0] * 5)
    assert kinds(collapsed + second) == ["collapsed"]
    assert "Step 50 of training" in ailments(collapsed + second)[0].sentence


def test_a_kind_is_said_once():
    log = lines("generator/spread", [0.0] * 5)
    log[-1]["samples/spread"] = 0.0
    assert kinds(log) == ["collapsed"]
    log[-1]["samples/spread"] = 0.5  # another figure does not heal the first
    assert kinds(log) == ["collapsed"]


@pytest.mark.parametrize(
    "value", [None, "x", {}, [], [[]], ["x"], float("nan"), [0.5, None], 10**400]
)
def test_damaged_figures_are_no_illness(value):
    log = lines("generator/spread", [value] * 5)
    assert ailments(log) == []
    assert ailments([{"phase": "gan", "step": 5, "d/saturation": value}]) == []
    assert kinds(log[:-1] + lines("generator/spread", [0.0], first=40)) == ["collapsed"]


def test_nothing_is_said_of_nothing():
    assert ailments([]) == []
    assert ailments([{"phase": "gan", "step": 5}]) == []


def test_a_collapse_at_the_start_is_not_judged():
    watch = Watch("gan", 100, 200, last=True)
    found = [watch.update(step, {"generator/spread": 0.01}) for step in range(110, 201, 10)]
    assert [len(part) for part in found] == [0] * 5 + [1] * 5


def test_an_alarm_rings_once(caplog):
    figures = {"generator/spread": 0.01}
    alarm = Alarm("gan", (0, 100), last=True)
    for step in range(10, 101, 10):
        alarm.update(step, figures)
    assert [record.message[:8] for record in caplog.records] == ["Step 60 "]
    known = [{"phase": "gan", "step": step, **figures} for step in range(10, 81, 10)]
    Alarm("gan", (0, 100), True, known).update(90, figures)  # a run that goes on
    assert len(caplog.records) == 1
    Alarm("gan", (0, 100), True, [{**line, "phase": "other"} for line in known]).update(90, figures)
    assert len(caplog.records) == 2


CASES = {
    "collapsed": ("bigan", {"lr__generator": 1.0, "train__epochs": 6}),
    "won": ("bigan", {"lr__generator": 0.0, "lr__discriminator": 1e-2, "train__epochs": 6}),
    "dead": ("ebgan", {"loss__margin": 0.0}),
    "constant": ("autoencoder", {"lr__encoder": 0.0, "lr__decoder": 0.0}),
}


@pytest.mark.parametrize("kind", CASES)
def test_what_is_provoked_is_said(kind, tmp_path, caplog):
    name, changes = CASES[kind]
    with caplog.at_level(logging.WARNING, "semad"):
        train(tiny.prepare(name, **changes), tmp_path)
    (sentence,) = [part.sentence for part in ailments(read_log(tmp_path)) if part.kind == kind]
    start = sentence.partition("): ")[2][:30]
    assert sum(start in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("autoencoder", {"lr__encoder": 1e-2, "lr__decoder": 1e-2, "train__epochs": 12}),
        ("ebgan", {}),
    ],
)
def test_healthy_training_is_not_suspected(name, changes, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "semad.training.health"):
        train(tiny.prepare(name, **changes), tmp_path)
    log = read_log(tmp_path)
    assert ailments(log) == []
    assert not caplog.records
    assert "reconstructions/spread" in log[-1]
    assert ("samples/spread" in log[-1]) == (name == "ebgan")
