"""The pores between fibres: the darkest of three classes of grey values."""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_multiotsu
from skimage.measure import label, regionprops_table

_SMALLEST = 10
"""Pixels of the smallest pore that has a size."""


def pore_mask(grey: np.ndarray) -> np.ndarray:
    """Bool (H, W), True in the darkest of three classes (multi-Otsu; Liao et al. 2001).

    Two classes would call the deeper fibres pores.
    """
    smooth = ndimage.gaussian_filter(grey, 1.0)
    if np.unique(smooth).size < 3:
        return np.zeros(grey.shape, bool)
    return smooth < threshold_multiotsu(smooth, 3)[0]


def pore_sizes(mask: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Equivalent diameters of the pores, pixels, `(N,)`.

    Pores that the image's border or an area that is not counted cuts have no size.

    Args:
      mask: bool (H, W), True in pores.
      counted: bool (H, W), True in the area that counts.
    """
    labels = label(mask, connectivity=1)
    cut = ndimage.binary_dilation(~counted)
    cut[[0, -1]] = True
    cut[:, [0, -1]] = True
    area = regionprops_table(labels, properties=("label", "area"))
    whole = ~np.isin(area["label"], labels[cut]) & (area["area"] >= _SMALLEST)
    return np.sqrt(4 * area["area"][whole] / np.pi)
