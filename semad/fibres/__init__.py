"""Fibres of a micrograph: diameters, directions, porosity and pores, without a network.

- `measure(image, mask, nm_per_pixel)`: what there is to measure, with and without defects.
- `picture(image, measurement)`: the centre lines that were measured, drawn over the image.
"""

from semad.fibres.measuring import Measurement, measure
from semad.fibres.picture import picture
from semad.fibres.tally import Distribution, Summary, Tally

__all__ = ["Distribution", "Measurement", "Summary", "Tally", "measure", "picture"]
