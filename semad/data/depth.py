"""How many of its sixteen bits an image uses: by its tags, as it was trained with, or by values.

Cameras and detectors of 10, 12 or 14 bits are stored in words of 16. Read as if all bits counted,
a 12-bit image would be nearly black.
"""

from typing import NamedTuple

from semad.data.samples import Samples

DEPTHS = (10, 12, 14, 16)
"""Those that are told from values alone."""


class Depth(NamedTuple):
    """Attributes:
    bits: per sample, 8 to 16.
    guessed: no tag says so; it follows from the values.
    cautions: plain sentences.
    """

    bits: int
    guessed: bool = False
    cautions: tuple[str, ...] = ()


def guessed(bits: int) -> str:
    """The caution for a depth that no tag states."""
    return (
        f"the values of its 16-bit samples need {bits} bits and no tag says how many are used; "
        f"read as {bits} bits (config.data.bit_depth sets it)"
    )


def resolve(samples: Samples, given: int) -> Depth:
    """The depth of an image.

    Args:
      samples: of the file. Samples of fewer than 16 bits state their depth themselves.
      given: bits that 16-bit files are read with, whatever their tags say; 0 where none are given.
    """
    if samples.bits < 16:
        return Depth(max(8, samples.bits))
    peak = int(samples.values.max())
    said = given or samples.significant
    if said is None:
        bits = next(bits for bits in DEPTHS if peak < 2**bits)
        # A black image says nothing, and one that needs all bits leaves no doubt.
        if bits == 16 or peak == 0:
            return Depth(16)
        return Depth(bits, True, (guessed(bits),))
    if peak >= 2**said:
        if samples.scaled and not given:
            return Depth(16)
        return Depth(16, False, (f"its values exceed {said} bits; read as 16 bits",))
    if given and samples.significant and not samples.scaled and given != samples.significant:
        return Depth(
            given,
            False,
            (
                f"its tags say {samples.significant} bits; read as {given} bits, as was set or "
                "trained",
            ),
        )
    return Depth(said)
