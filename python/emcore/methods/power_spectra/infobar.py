"""Which rows of a micrograph are the information bar that the microscope wrote below the picture?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Fewer rows hold no text; so many at the very bottom may belong to a frame.
_LEAST_ROWS, _FRAME_ROWS = 10, 4


def info_bar_height(image: NDArray[Any]) -> int:
    """Rows of an information bar below the picture: a sharp edge, then text on a ground of exactly one value.

    Parameters
    ----------
    image : ndarray, shape (H, W)

    Returns
    -------
    int
        At most a fifth of the height; 0 where there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.infobar import info_bar_height
    >>> image = np.random.default_rng(0).integers(0, 255, (200, 300), dtype=np.uint8)
    >>> image[180:] = 0
    >>> image[185:195, 20:60] = 255
    >>> info_bar_height(image)
    20
    """
    if image.dtype.kind != "u":
        return 0
    height, width = image.shape
    shares: list[float] = []
    for row in image[::-1][: height // 5 + 1]:
        shares.append(_share(row)[1] / width)
        if shares[-1] < 0.5 and len(shares) > _FRAME_ROWS:
            shares.pop()
            break
    while shares and shares[-1] < 0.5:
        shares.pop()
    bar = len(shares)
    if not _LEAST_ROWS <= bar <= height // 5 or shares[-1] < 0.98:
        return 0
    ground = _share(image[-bar:].ravel())[0]
    return bar if np.count_nonzero(image[-bar:] != ground) > 0.002 * bar * width else 0


def _share(values: NDArray[Any]) -> tuple[int, int]:
    """The most frequent value, and how often it occurs."""
    grey, counts = np.unique(values, return_counts=True)
    return int(grey[counts.argmax()]), int(counts.max())
