"""What a config key is: a row of `semad.config.schema`, from which everything else derives.

A section of the schema is a class whose annotations are its keys and whose values are rows:

    class TrainSettings(Section):
        batch_size: int = knob(64, "patches per batch", low=2)

An instance holds the resolved values: immutable, typed, and without the keys that a system's config
does not have, which raise when they are read.
"""

import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from semad.errors import UserError

_SHOWN = 80  # characters of a value in a message


def shown(value: Any) -> str:
    """A value as messages have it: short, on a single line, whatever it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits; a list in itself
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


class MissingKey(UserError, AttributeError):
    """A system reads a key that its config does not have."""


class _Absent:
    """No value."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Any = _Absent()


@dataclass(frozen=True)
class Knob:
    """A row of the schema.

    Attributes:
      default: the thesis' value (appendix A) of a key that all systems share; `ABSENT` for a key
        that only the configs of some systems set.
      help: what the value is, with its unit.
      kind: bool, int, float or str.
      optional: whether it may be unset (None).
      low, high: the allowed range, both ends included; None is no limit.
      choices: the allowed values; or, where they depend on the system, `config.method` -> values.
      changeable: whether a run may change it when it goes on or is evaluated; any other change
        makes another run.
      traced: whether the value enters compiled programs as a traced scalar, so that the members of
        a population may differ in it.
      older: the value that leaves a run what it was, of workdirs from before the key existed;
        `ABSENT` for a key that every workdir has.
      older_of: the same for single systems.
    """

    default: Any
    help: str
    kind: type = str
    optional: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] | Mapping[str, tuple[Any, ...]] = ()
    changeable: bool = False
    traced: bool = False
    older: Any = ABSENT
    older_of: Mapping[str, Any] = field(default_factory=dict)

    def check(self, key: str, value: Any, method: str = "") -> Any:
        """The value, an integer of a float key as a float.

        Raises:
          UserError: for a value of another type, out of range or that is no choice.
        """
        if value is None and self.optional:
            return None
        if not self._is_of_kind(value):
            raise UserError(f"config.{key} is {shown(value)}; it must be {self.kind_name}")
        if self.choices and value not in (choices := self.choices_for(method)):
            expected = ", ".join(map(str, choices))
            raise UserError(f"config.{key} is {shown(value)}; it must be one of: {expected}")
        low, high = self.low, self.high
        if (low is not None and value < low) or (high is not None and value > high):
            raise UserError(f"config.{key} is {shown(value)}; it must be {self.range_name}")
        return float(value) if self.kind is float else value

    def _is_of_kind(self, value: Any) -> bool:
        """Whether a value has the type of the key; texts that no path can hold do not."""
        kinds = (int, float) if self.kind is float else (self.kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and self.kind is not bool):
            return False
        if isinstance(value, int | float) and self.kind is float:
            try:
                return math.isfinite(float(value))
            except OverflowError:  # of an integer
                return False
        return not (isinstance(value, str) and "\0" in value)

    def choices_for(self, method: str) -> tuple[Any, ...]:
        """The choices of one system; all that there are for a system that the row does not name."""
        if not isinstance(self.choices, Mapping):
            return self.choices
        everything = dict.fromkeys(value for part in self.choices.values() for value in part)
        return self.choices.get(method, tuple(everything))

    @property
    def kind_name(self) -> str:
        """The type in words, as in `an int or None`."""
        article = "an" if self.kind is int else "a"
        return f"{article} {self.kind.__name__}" + (" or None" if self.optional else "")

    @property
    def range_name(self) -> str:
        """The range in words."""
        if self.high is None:
            return f"at least {self.low}"
        return f"at most {self.high}" if self.low is None else f"between {self.low} and {self.high}"


def knob(default: Any, help_: str, **attributes: Any) -> Any:
    """A row; its type is that of the annotation that it is assigned to."""
    return Knob(default, help_, **attributes)


class Section:
    """A section of the schema, and its resolved values; see the module.

    Attributes:
      KNOBS: key -> row.
      changeable: whether all keys may change when a run goes on or is evaluated.
      section: prefix of the keys, as `train.`.
    """

    KNOBS: ClassVar[dict[str, Knob]] = {}
    changeable: ClassVar[bool] = False
    section: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """Takes the rows from the class, so that a key without a value raises."""
        hints = get_type_hints(cls)
        cls.KNOBS = {}
        for name, row in list(vars(cls).items()):
            if isinstance(row, Knob):
                kind, optional = _kind(hints[name])
                changeable = row.changeable or cls.changeable
                cls.KNOBS[name] = replace(row, kind=kind, optional=optional, changeable=changeable)
                delattr(cls, name)

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Holds checked values by key; keys of `KNOBS` that are missing stay absent."""
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        """Raises for a key that is absent."""
        if name.startswith("__"):  # asked for by copies, not by systems
            raise AttributeError(name)
        raise MissingKey(
            f"config.{self.section}{name} has no value; the config of a system that reads it must "
            "set it"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        """Raises: settings do not change; see `replace`."""
        raise AttributeError(f"settings are immutable; {name} cannot be set")

    def __reduce__(self) -> tuple[Any, ...]:
        """As its values: read-only mappings cannot be pickled."""
        values = {
            name: dict(value) if isinstance(value, types.MappingProxyType) else value
            for name, value in vars(self).items()
        }
        return _rebuilt, (type(self), values)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Pairs of key and value, in the schema's order."""
        return ((name, vars(self)[name]) for name in self.KNOBS if name in vars(self))

    def __eq__(self, other: object) -> bool:
        """Whether type and values are the same."""
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        """Of the values."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        """The type and the values."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self)})"

    def replace(self, **changes: Any) -> Self:
        """A copy with other values, which are not checked."""
        return type(self)(vars(self) | changes)


def _rebuilt(kind: type[Section], values: dict[str, Any]) -> Section:
    """A pickled section."""
    return kind(
        {
            name: types.MappingProxyType(value) if isinstance(value, dict) else value
            for name, value in values.items()
        }
    )


def _kind(hint: Any) -> tuple[type, bool]:
    """The type of an annotation, and whether it may be None."""
    if get_origin(hint) in (Union, types.UnionType):
        (kind,) = (part for part in get_args(hint) if part is not types.NoneType)
        return kind, True
    return hint, False
