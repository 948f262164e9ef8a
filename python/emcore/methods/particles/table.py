"""How large particles are, how long their edges, how elongated, and whether the border cuts them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.io.optional import skimage_module


class Measured(NamedTuple):
    """
    What particles measure, each of shape (n,).

    Attributes
    ----------
    area, perimeter, aspect : ndarray, float64
        In units of the scale; the longer axis of the ellipse of the same moments over the shorter one.
    y, x : ndarray, float64
        Centroids, in pixels.
    cut : ndarray, bool
        By the border of the image.
    """

    area: Floats
    perimeter: Floats
    aspect: Floats
    y: Floats
    x: Floats
    cut: NDArray[np.bool_]


def measure_particles(labels: NDArray[np.int32], scale: tuple[float, float] = (1.0, 1.0)) -> Measured:
    """
    Measure labelled particles; scikit-image's region properties.

    Parameters
    ----------
    labels : ndarray of int32, shape (y, x)
        0 to n - 1, none missing; -1 where there is none.
    scale : (float, float)
        Height and width of a pixel. Where they differ the perimeter is the length of a smoothed contour; that of
        square ones is counted by their neighbours.

    Returns
    -------
    Measured

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.particles.table import measure_particles
    >>> labels = np.full((9, 12), -1, dtype=np.int32)
    >>> labels[2:6, 3:11] = 0
    >>> found = measure_particles(labels, (0.5, 0.5))
    >>> found.area.tolist(), found.aspect.round(2).tolist(), found.cut.tolist()
    ([8.0], [2.05], [False])
    """
    height, width = (abs(float(each)) for each in scale)
    measure = skimage_module("measure")
    square = np.isclose(height, width, rtol=1e-3)
    wanted = ["centroid", "bbox", "area", "moments_central"] + (["perimeter"] if square else [])
    table = measure.regionprops_table(labels + 1, properties=wanted)
    pixels = np.asarray(table["area"], dtype=np.float64)
    vy = table["moments_central-2-0"] / pixels * height**2
    vx = table["moments_central-0-2"] / pixels * width**2
    both = table["moments_central-1-1"] / pixels * height * width
    pixel = min(height, width) ** 2 / 12  # the variance of what is one pixel wide
    middle, spread = (vy + vx) / 2, np.sqrt(((vy - vx) / 2) ** 2 + both**2)
    if square:
        perimeter = np.asarray(table["perimeter"], dtype=np.float64) * height
    else:
        perimeter = np.array([_contour(labels == index, height, width) for index in range(len(pixels))])
    cut = (table["bbox-0"] == 0) | (table["bbox-1"] == 0)
    cut |= (table["bbox-2"] == labels.shape[0]) | (table["bbox-3"] == labels.shape[1])
    return Measured(
        pixels * height * width,
        perimeter,
        np.sqrt(np.maximum(middle + spread, pixel) / np.maximum(middle - spread, pixel)),
        np.asarray(table["centroid-0"], dtype=np.float64),
        np.asarray(table["centroid-1"], dtype=np.float64),
        np.asarray(cut, dtype=np.bool_),
    )


def _contour(inside: NDArray[np.bool_], height: float, width: float) -> float:
    from scipy import ndimage

    # Smoothed: the steps between pixels would count.
    smooth = ndimage.gaussian_filter(np.pad(inside, 4).astype(np.float64), 1.0)
    contours = skimage_module("measure").find_contours(smooth, 0.5)
    longest = [float(np.hypot(*(np.diff(contour, axis=0) * (height, width)).T).sum()) for contour in contours]
    return max(longest, default=0.0)
