"""The pores between fibres: the darkest class of grey values."""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_multiotsu, threshold_otsu
from skimage.measure import label, regionprops_table

_TWO_CLASSES = 0.9
"""Share of the variance of grey values from which on two classes say nearly all."""
_SMALLEST = 10
"""Pixels of the smallest pore that has a size."""


def pore_mask(grey: np.ndarray) -> np.ndarray:
    """Bool (H, W), True where no fibre is seen.

    In the darkest of three classes of grey values (multi-Otsu; Liao et al. 2001): two would call
    the deeper fibres pores. Where two classes say nearly all, in the darker of these (Otsu 1979).
    """
    smooth = ndimage.gaussian_filter(grey, 1.0)
    if np.unique(smooth).size < 3:
        return np.zeros(grey.shape, bool)
    dark = smooth < threshold_otsu(smooth)
    share = dark.mean()
    between = share * (1 - share) * (smooth[dark].mean() - smooth[~dark].mean()) ** 2
    if between > _TWO_CLASSES * smooth.var():
        return dark
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
