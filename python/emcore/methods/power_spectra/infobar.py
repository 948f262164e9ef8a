"""Which rows of a micrograph are the information bar that the microscope wrote below the picture?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Fewer rows hold no text; so many at the very bottom may belong to a frame, so many inside to a rule or be odd.
_LEAST_ROWS, _FRAME_ROWS, _ODD_ROWS = 10, 4, 2
# Share of the ground's value in a row of text, and of one value in a row that is empty or a line.
_TEXT, _CLEAN = 0.35, 0.98


def info_bar_height(image: NDArray[Any], stated: int = 0) -> int:
    """Rows of an information bar below the picture: a sharp edge, then text on a ground of exactly one value.

    The ground may be black, white or grey. Rows of text are mostly ground; lines may cross the bar, and frame it; a
    few rows at the very bottom may be anything. What is written are strokes, whose pixels have neighbours that are
    not ground either, which counts of a blanked detector have not.

    Parameters
    ----------
    image : ndarray, shape (H, W)
    stated : int, default 0
        Rows that the maker says the bar has, taken where one value fills most of them.

    Returns
    -------
    int
        At most a fifth of the height unless stated; 0 where there is none.

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
    if 0 < stated < image.shape[0] and _share(image[-stated:])[1] > 0.5:
        return stated
    if image.dtype.kind not in "ui" or image.shape[0] < 5 * _LEAST_ROWS:
        return 0
    height = image.shape[0]
    rows = image[-(height // 5 + 1 + _ODD_ROWS) :]
    ground = _share(rows[-_LEAST_ROWS:])[0]
    shares = np.count_nonzero(rows == ground, axis=1) / image.shape[1]
    lines = np.array([_share(row)[1] for row in rows]) >= _CLEAN
    tops = [_first_of_text(shares, lines), *np.flatnonzero(lines & (shares < 1 - _CLEAN))]
    for top in sorted(tops):
        bar = len(rows) - int(top)
        if _LEAST_ROWS <= bar <= height // 5 and lines[top] and _differs(shares, int(top)):
            if _is_written(rows[top:] != ground, shares[top:]):
                return bar
    return 0


def _first_of_text(shares: NDArray[np.float64], lines: NDArray[np.bool_]) -> int:
    """The first of the rows that are mostly ground up from the bottom, with the lines of the frame above them."""
    top, odd = len(shares) - 1, 0
    for row in reversed(range(len(shares))):
        if shares[row] >= _TEXT:
            top, odd = row, 0
        else:
            odd += 1
            if odd > (_FRAME_ROWS if row >= len(shares) - _FRAME_ROWS else _ODD_ROWS):
                break
    frame = top
    while frame > 0 and lines[frame - 1]:
        frame -= 1
    return frame if top - frame <= _FRAME_ROWS else top


def _differs(shares: NDArray[np.float64], top: int) -> bool:
    """Whether the picture above is not of the bar's ground, or a line of another value divides them."""
    return shares[top] < 1 - _CLEAN or bool(np.median(shares[max(top - _FRAME_ROWS, 0) : top]) < 0.5)


def _is_written(other: NDArray[np.bool_], shares: NDArray[np.float64]) -> bool:
    """Whether what is not ground are strokes: some rows of them, and few pixels alone."""
    inside = other[(shares >= _TEXT) & (shares < 1)]
    if len(inside) < _LEAST_ROWS / 2 or not 0.002 < np.count_nonzero(other) / other.size < 0.5:
        return False
    padded = np.pad(other, 1)
    neighbour = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return bool(np.count_nonzero(other & neighbour) > 0.8 * np.count_nonzero(other))


def _share(values: NDArray[Any]) -> tuple[Any, float]:
    """The most frequent value, and its share."""
    found, counts = np.unique(values, return_counts=True)
    return found[counts.argmax()], counts.max() / values.size
