"""Fewer components where several are one lattice, or one is a border: decided, and the others factorised again."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.methods.power_spectra.likeness import joined, numbered, one_lattice
from emcore.methods.power_spectra.separation import Parts, Picture, separate
from emcore.methods.power_spectra.transitions import borders, one_that_changes

# A gap in the explained-variance ratios that may hide others before it.
_GAP = 1.65
_MOST = 20

Start = tuple[NDArray[Any], NDArray[Any]]


def last_gap(evr: NDArray[np.float64], most: int) -> int:
    """
    The last rank after which explained-variance ratios fall by a large factor.

    A small grain beside large ones makes a smaller gap than they do; borders make gaps, too, and are left out by
    `merged`.

    Parameters
    ----------
    evr : ndarray, shape (m,)
        Of an uncentred PCA, falling.
    most : int
        How many components there may be.

    Returns
    -------
    int
        0 where there is no such gap.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.merging import last_gap
    >>> last_gap(np.array([0.8, 0.1, 0.04, 0.02, 0.005, 0.0049, 0.0047]), 8)
    4
    """
    last = min(most, _MOST, len(evr) - 1)
    gaps = np.flatnonzero(evr[1:last] >= _GAP * evr[2 : last + 1])
    return int(gaps[-1]) + 2 if len(gaps) else 0


def merged(
    spectra: NDArray[np.float32],
    weights: NDArray[Any],
    parts: Parts,
    picture: Picture,
    single: Callable[[], Start],
) -> tuple[Parts, tuple[str, ...]]:
    """
    Leave out borders and merge what is one lattice, until nothing changes.

    Parameters
    ----------
    spectra, weights, picture
        As for `emcore.methods.power_spectra.separation.separate`.
    parts : Parts
        Of several components.
    single : callable
        Gives the factors to start from where one component is left.

    Returns
    -------
    parts : Parts
    notes : tuple of str
        What was done, as sentences.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.power_spectra.windows import half_plane_weights, windowed_power_spectra
    >>> image = np.cos(0.8 * np.arange(192.0)) * (1 + np.arange(128.0)[:, None] / 128)
    >>> image = image + 0.1 * np.random.default_rng(0).normal(size=image.shape)
    >>> spectra = windowed_power_spectra(image, 64, 16)
    >>> weights, rows = np.tile(half_plane_weights(64), 64), spectra.reshape(45, -1)
    >>> picture = Picture((128, 192), 16, (1.0, 1.0))
    >>> parts = separate(spectra, weights, (np.random.default_rng(1).random((45, 2)), rows[[0, -1]]), picture)
    >>> parts, notes = merged(spectra, weights, parts, picture, lambda: (np.ones((45, 1)), rows[:1]))
    >>> len(parts.maps), notes
    (1, ('components whose mean spectra show the same lattice are one: 1 of 2 are left',))
    """
    window = spectra.shape[2]
    notes: list[str] = []
    for _ in range(len(parts.maps)):
        k = len(parts.maps)
        border = borders(parts, picture, window)
        if border.any():
            kept = np.flatnonzero(~border)
            start: Start = (
                np.ascontiguousarray(parts.maps[kept].reshape(len(kept), -1).T),
                np.ascontiguousarray(parts.spectra[kept].reshape(len(kept), -1)),
            )
            notes.append(f"components that are borders between lattices are none: {len(kept)} of {k} are left")
        else:
            same = one_lattice(parts.powers, parts.lattices)
            changing = one_that_changes(spectra, parts, picture)
            numbers = numbered((same[:, None] == same) | (changing[:, None] == changing))
            fewer = int(numbers.max()) + 1
            if fewer == k:
                break
            start = single() if fewer == 1 else joined(parts.maps, parts.spectra, numbers)
            if changing.max() + 1 < k:
                notes.append(
                    "components of one lattice that changes steadily, as one that is strained or bent, are one: "
                    f"{fewer} of {k} are left"
                )
            else:
                notes.append(f"components whose mean spectra show the same lattice are one: {fewer} of {k} are left")
        parts = separate(spectra, weights, start, picture)
        if len(parts.maps) == 1:
            break
    return parts, tuple(notes)
