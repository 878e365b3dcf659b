"""The choice of a score, applied to settings and said in words."""

from semad.config.settings import resolve, with_values
from semad.selection.select import apply_selection, in_words
from tests import tiny

SELECTION = {
    "chosen": {"score": "probability", "smoothing": 4.0},
    "pooling": "several",
    "pixel_rate": 0.002,
}
WORDS = "name probability, smoothing 4.0, pooling several, pixel_rate 0.002"


def settings(**values):
    asked = {"score.smoothing": 4.0, "score.pooling": "several", "score.pixel_rate": 0.002}
    return with_values(resolve(tiny.config("recommended")), asked | values)


def test_the_choice_takes_the_place_of_what_was_asked_for():
    chosen = apply_selection(settings(**{"score.pooling": "mean"}), SELECTION).score
    assert (chosen.name, chosen.smoothing) == ("probability", 4.0)
    assert (chosen.pooling, chosen.pixel_rate) == ("several", 0.002)


def test_what_is_overruled_is_said():
    assert in_words(settings(), SELECTION) == f"chosen by planted defects: {WORDS}"
    overruled = settings(**{"score.pooling": "top", "score.name": "discriminator"})
    assert in_words(overruled, SELECTION) == (
        f"chosen by planted defects: {WORDS}; config.score has name discriminator, pooling top, "
        "which counts with --config.select=none"
    )
