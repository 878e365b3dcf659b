"""Values given as text take the type of the key they are for."""

import pytest

from semad.config.overrides import named, override
from semad.configs import bigan
from semad.errors import UserError


def test_values_of_every_type():
    old = bigan.get_config("smoke")
    new = override(
        old,
        [
            "lr.generator=1e-3",
            "train.epochs = 7",
            "data.name=nanotwice",
            "data.verify=false",
            "data.flips=True",
            "data.dir=some folder",
            "score.nm_per_pixel=20",
        ],
    )
    assert (new.lr.generator, new.train.epochs, new.data.name) == (1e-3, 7, "nanotwice")
    assert (new.data.verify, new.data.flips, new.data.dir) == (False, True, "some folder")
    assert new.score.nm_per_pixel == 20.0
    assert old.lr.generator == 2e-4  # a copy was changed
    assert override(new, ["data.dir=None"]).data.dir is None


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("train.epochs", "no <key>=<value>"),
        ("train.epoch=3", "unknown config key 'train.epoch'"),
        ("trains.epochs=3", "unknown config key"),
        ("train.epochs.more=3", "unknown config key"),
        ("train=3", "is a section"),
        ("train.epochs=3.5", "must be a int"),
        ("data.verify=perhaps", "must be a bool"),
    ],
)
def test_what_is_not_taken(assignment, says):
    with pytest.raises(UserError, match=says):
        override(bigan.get_config("smoke"), [assignment])


def test_a_config_by_its_name():
    own = named("configs/bigan.py", "smoke", ["train.epochs=7"])
    assert (own.method, own.preset, own.train.epochs) == ("bigan", "smoke", 7)
    assert named("bigan").preset == "thesis"
    with pytest.raises(UserError, match="there is no system gan"):
        named("gan")
    with pytest.raises(UserError, match="there is no system"):
        named("elsewhere/bigan.py")
    with pytest.raises(UserError, match="what all share"):
        named("common")
    with pytest.raises(UserError, match="no preset 'tiny'"):
        named("bigan", "tiny")
