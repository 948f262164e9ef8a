"""Which rows of a micrograph are the information bar that the microscope wrote below the picture?"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Fewer rows hold no text; so many at the very bottom may belong to a frame, so many at the top or inside to a line.
_LEAST_ROWS, _FRAME_ROWS, _LINE_ROWS = 10, 4, 2
# How far JPEG moves values, what it leaves of an empty row, how much of a bar it leaves as it was, and how far from
# that text is.
_JPEG, _CLEAN_JPEG, _EXACT, _CONTRAST = 12, 0.95, 0.25, 30
# Share of the ground's value in a row of text, and of one value in a row that is empty or a line.
_TEXT, _CLEAN = 0.35, 0.98


def info_bar_height(image: NDArray[Any], stated: int = 0) -> int:
    """Rows of an information bar below the picture: a sharp edge, then text on a ground of one value.

    The ground may be black, white or grey. Rows of text are mostly ground; lines may cross the bar, and frame it; a
    few rows at the very bottom may be anything. What is written are strokes, whose pixels have neighbours that are
    not ground either, which counts of a blanked detector have not. Of 8 bits the ground may have been blurred by JPEG,
    which leaves it as it was away from text.

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
    return _height(image, 0, _CLEAN) or (_height(image, _JPEG, _CLEAN_JPEG) if image.dtype == np.uint8 else 0)


def _height(image: NDArray[Any], tolerance: int, clean: float) -> int:
    """The rows of a bar whose ground and lines are of one value within a tolerance."""
    height = image.shape[0]
    rows = image[-(height // 5 + 1 + _FRAME_ROWS) :]
    ground, share = _share(rows[-_LEAST_ROWS:])
    if share < _EXACT / 2:
        return 0
    if tolerance:
        rows, ground = rows.astype(np.int16), int(ground)
    is_ground = np.abs(rows - ground) <= tolerance if tolerance else rows == ground
    shares = np.count_nonzero(is_ground, axis=1) / image.shape[1]
    # A value that fills a row is the median of a few of its pixels.
    most = np.sort(rows[:, :: max(image.shape[1] // 31, 1)], axis=1)
    value = most[:, most.shape[1] // 2]
    of_value = rows == value[:, np.newaxis] if not tolerance else np.abs(rows - value[:, np.newaxis]) <= tolerance
    lines = np.count_nonzero(of_value, axis=1) >= clean * image.shape[1]
    for top in 1 + np.flatnonzero(lines[1:] & (~lines[:-1] | (value[1:] != value[:-1]))):
        bar = len(rows) - int(top)
        if not _LEAST_ROWS <= bar <= height // 5 or not _is_below(shares, int(top)):
            continue
        drawn = image.dtype != np.uint8 or _is_drawn(rows[top:], int(ground), is_ground[top:])
        if drawn and _is_text(shares[top:]) and _is_written(~is_ground[top:], shares[top:]):
            return bar
    return 0


def _is_below(shares: NDArray[np.float64], top: int) -> bool:
    """Whether the picture above is not of the bar's ground, or a line of another value divides them."""
    return shares[top] < 1 - _CLEAN or bool(np.median(shares[max(top - _FRAME_ROWS, 0) : top]) < 0.5)


def _is_drawn(rows: NDArray[Any], ground: int, is_ground: NDArray[np.bool_]) -> bool:
    """Whether much is exactly ground, and what is not stands out of it."""
    other = rows[~is_ground]
    if not other.size or np.count_nonzero(rows == ground) < _EXACT * rows.size:
        return False
    return bool(np.median(np.abs(other.astype(np.int16) - ground)) > _CONTRAST)


def _is_text(shares: NDArray[np.float64]) -> bool:
    """Whether rows are mostly ground, but for a frame, lines and odd ones."""
    run = 0
    for share in shares[:-_FRAME_ROWS]:
        run = 0 if share >= _TEXT else run + 1
        if run > _LINE_ROWS:
            return False
    return True


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
    observed, counts = np.unique(values, return_counts=True)
    return observed[counts.argmax()], counts.max() / values.size
