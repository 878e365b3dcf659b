"""What a report warns of."""

import pytest

from semad.reports.cautions import calibration_cautions, cautions, source_of_thresholds, unbeaten


def result(auroc, **values):
    baselines = {"brightness": {"auroc": 0.6}, "contrast": {"auroc": 0.7}}
    score = {"threshold_rule": "normal_quantile"}
    config = {"config": {"score": score}, "n_test": 9, "n_available": 9, "members": []}
    return {"auroc": auroc, "baselines": baselines} | config | values


@pytest.mark.parametrize(
    ("auroc", "expected"),
    [(0.59, ["brightness", "contrast"]), (0.71, ["contrast"]), (0.73, []), (None, [])],
)
def test_baselines_must_be_beaten_clearly(auroc, expected):
    assert unbeaten(result(auroc)) == expected


def test_baselines_count_with_either_sign():
    inverted = {"contrast": {"auroc": 0.05, "inverted": {"auroc": 0.95}}}
    assert unbeaten(result(0.9, baselines=inverted)) == ["inverted contrast"]


def test_doubts_about_the_validator_come_first():
    selection = {"doubts": ["The validator's figure must not be believed."]}
    assert cautions(result(0.9, selection=selection, n_test=4))[0] == selection["doubts"][0]
    assert cautions(result(0.9, selection={})) == []  # an older one


@pytest.mark.parametrize(
    ("seen", "said", "source"),
    [
        (
            {"shift": 0.5, "ratio": 1.4},
            "raised by 0.5 and stretched by 1.4, which",
            "raised to the",
        ),
        ({"shift": 0.5, "ratio": 1.0}, "raised by 0.5, which", "raised to the"),
        ({"shift": 0.0, "ratio": 1.0}, "raised by 0, which", "ones trained on)"),
        ({"used": False}, "what was held out alone", "held-out normal images"),  # an older one
        ({"used": True}, "what was held out alone", "ones trained on)"),
    ],
)
def test_what_training_saw(seen, said, source):
    calibration = {"rate": 0.05, "images": 60, "seen": {"auroc": 0.7, "p": 0.01} | seen}
    assert said in calibration_cautions(calibration)[0]
    assert source in source_of_thresholds(calibration)
    calibration["seen"]["p"] = 0.2
    assert calibration_cautions(calibration) == []


def test_nothing_to_say():
    assert cautions(result(0.9)) == []


@pytest.mark.parametrize(("spreads", "count"), [(None, 0), ([0.5, 0.4], 0), ([0.5, 0.02], 1)])
def test_reconstructions_that_are_constant(spreads, count):
    found = cautions(result(0.9, reconstruction_spread=spreads))
    assert len(found) == count
    assert all("hardly depend on what they rebuild (spread 0.02" in text for text in found)


def test_each_weakness_has_its_sentence():
    transductive = {"score": {"threshold_rule": "transductive"}}
    for weak, says in (
        (result(0.65), "Not clearly better (by 0.02 AUROC) than contrast, which learns nothing"),
        (result(0.9, config=transductive), "taken from the test scores"),
        (result(0.9, n_test=4), "Only 4 of 9 were scored"),
    ):
        (found,) = cautions(weak)
        assert says in found
    alone = result(0.9)
    del alone["members"]
    assert cautions(alone) == ["One seed only: another seed may give other figures."]


def test_a_rate_that_so_few_images_cannot_promise():
    (found,) = calibration_cautions({"rate": 0.05, "images": 4, "lowest_rate": 0.2})
    assert "no rate of false alarms among images below 20 % can be promised" in found
    assert calibration_cautions({"rate": 0.05, "images": 19, "lowest_rate": 0.05}) == []
    parts = {"rate": 0.5, "images": 19, "lowest_rate": 0.1, "part": 0.25}
    (found,) = calibration_cautions(parts)
    assert "as if a whole image were 4.0 such parts" in found
    assert calibration_cautions(None) == []


@pytest.mark.parametrize(("interval", "count"), [([0.01, 0.2], 0), ([0.06, 0.2], 1), (None, 0)])
def test_a_rate_that_was_not_kept(interval, count):
    test = {"achieved": 0.1, "interval": interval}
    found = calibration_cautions({"rate": 0.05, "images": 40, "tile_test": test})
    assert len(found) == count
    assert all("10 % of the tiles" in text for text in found)


def test_pixels_have_a_rate_of_their_own():
    test = {"achieved": 0.1, "interval": [0.08, 0.2]}
    record = {"rate": 0.1, "pixel_rate": 0.01, "images": 40, "pixel_test": test}
    (found,) = calibration_cautions(record)
    assert "1 % was asked for" in found
