"""What `build` checks beside the values of single keys."""

from semad.run.system import build
from tests import tiny
from tests.complaints import one_line


def test_every_trained_net_has_a_learning_rate():
    config = tiny.config("bigan")
    with config.unlocked():
        del config.lr.encoder
    one_line(lambda: build(config), "config.lr.encoder is missing", "bigan trains the net encoder")


def test_a_score_that_the_system_does_not_have():
    config = tiny.config("bigan", score__name="energy")
    one_line(lambda: build(config), "config.score.name is 'energy'; bigan has:", "features")


def test_an_unknown_system():
    config = tiny.config("bigan")
    config.method = "gan"
    one_line(lambda: build(config), "config.method is 'gan'", "alad, ali")
