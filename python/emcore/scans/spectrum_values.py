"""What of a spectrum image is no count: NaN, infinity and negative values. What may be put right, and what is refused.

A position with NaN or infinity is empty. Values that are negative by no more than rounding, as after a change of gain
or a Fourier filter, are zero. A few others may be set to zero where that is asked for; more come from a background that
was subtracted, of which setting them to zero would make counts that nobody measured.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from emcore.core.validation import check_option
from emcore.core.wording import number
from emcore.outofcore.sources import Source
from emcore.outofcore.values import Values, count_below, values_of

NEGATIVES = ("clip",)
# Rounding, as a part of the largest modulus; what part of all values may be clipped.
_ROUND_OFF, _FEW = 1e-6, 1e-3


def check_counts(
    rows: Any, name: str, grid: Sequence[int], first_channel: int = 0, negative: str | None = None
) -> tuple[Values, tuple[str, ...]]:
    """What the rows hold, refused where it is no spectrum image.

    Parameters
    ----------
    rows : ndarray or Source, shape (n, d)
        Of a source it is noted how its blocks are mended.
    name : str
        The argument's name, for the message.
    grid : sequence of int
        Shape of the scan, of n positions.
    first_channel : int, default 0
        The channel that comes first in the rows.
    negative : {"clip"}, optional
        Let a few values be negative.

    Returns
    -------
    values : Values
    notes : tuple of str
        What is to be said of values that become zero.

    Raises
    ------
    ValueError
        NaN or infinity at every position; negative values, but for rounding and a few that may be clipped.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.spectrum_values import check_counts
    >>> check_counts(np.array([[7.0, -1e-9], [2.0, 0.0]]), "spectrum_image", (2,))[1]
    ('1 of 4 values is negative by rounding, at most 1e-09 beside 7: set to zero',)
    """
    if negative is not None:
        check_option(negative, NEGATIVES, "negative")
    found = values_of(rows)

    def at(place: tuple[int, int] | None) -> str:
        row, feature = place or (0, 0)
        indices: list[Any] = [*np.unravel_index(row, tuple(grid)), feature + first_channel]
        return ", ".join(str(int(i)) for i in indices)

    if found.invalid == rows.shape[0]:
        first = at(found.first_invalid)
        raise ValueError(
            f"Input {name} contains NaN or infinity at every position, first at [{first}]; replace or crop such values "
            "first"
        )
    notes = _said(rows, found, name, at(found.first_negative), negative)
    if isinstance(rows, Source) and (found.invalid or found.negative):
        rows.mend = "counts"
        rows.observed["range"] = max(found.low, 0.0), found.high
    return found, notes


def _said(rows: Any, found: Values, name: str, first: str, negative: str | None) -> tuple[str, ...]:
    if not found.negative:
        return ()
    total = rows.shape[0] * rows.shape[1]
    limit = _ROUND_OFF * max(-found.low, found.high)
    if -found.low <= limit:
        many = f"{found.negative} of {total} values {'is' if found.negative == 1 else 'are'} negative by rounding"
        return (f"{many}, at most {-found.low:.3g} beside {number(found.high)}: set to zero",)
    count = count_below(rows, -limit)
    many = f"{count} of {total}, the smallest {found.low:.3g}"
    if count < _FEW * total:
        if negative == "clip":
            return (f"negative values were set to zero, as asked for: {many}",)
        advice = "or let these few be set to zero with negative='clip' (--negative clip)"
    else:
        advice = "or clip them with numpy.clip(data, 0, None)"
        if negative == "clip":
            advice = f"negative='clip' is for less than {100 * _FEW:g} % of the values"
    raise ValueError(
        f"{name} has negative values, first at [{first}], {many}: counts are not negative. Give the data as measured, "
        f"before a background is subtracted, {advice}"
    )
