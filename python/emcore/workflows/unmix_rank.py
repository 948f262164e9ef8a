"""Bins of a spectrum image or a block of it: what they show that single positions do not."""

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore import _emcore
from emcore.core.validation import Floats
from emcore.methods.selection.measured_noise import MeasuredNoise
from emcore.methods.selection.rules import RankChoice
from emcore.methods.unmixing.bins import Bins
from emcore.methods.unmixing.camera import choose_by_positions
from emcore.methods.unmixing.endmembers import Deeper
from emcore.methods.unmixing.pure_positions import at_pure_positions
from emcore.methods.unmixing.pyramid import MOST_BINS, Level, levels, search, settled, spectra_of_maps
from emcore.outofcore.checkpoint import step
from emcore.outofcore.moments import products_of_rows
from emcore.outofcore.sources import Source
from emcore.scans.spectrum_bins import in_bins
from emcore.scans.spectrum_images import Block, SpectrumImage


def search_bins(
    image: SpectrumImage, block: Block | None, rows: Any, hidden: NDArray[np.bool_] | None, dose: float
) -> Any:
    """What `find_endmembers` asks for as `deeper`, of a spectrum image or a block of it with so many counts a position.

    It is a step of its own: bins are not saved, what they show is.
    """

    def deeper(known: int, singular: Floats, signals: Floats, more: bool) -> Deeper | None:
        single = known, singular, signals
        observed = step(rows, "bins", partial(_searched, image, block, rows, hidden, dose, single, more))
        if len(observed) == 1:
            return None
        n, reason, *found = observed
        spectra, own = (np.asarray(found[0]), np.asarray(found[1])) if found else (None, None)
        return Deeper(int(n), str(reason), spectra, own)

    return deeper


def _searched(
    image: SpectrumImage,
    block: Block | None,
    rows: Any,
    hidden: NDArray[np.bool_] | None,
    dose: float,
    single: tuple[int, Floats, Floats],
    more: bool,
) -> tuple[Any, ...]:
    """How many, why, and the spectra if they are from bins; or only what single positions show."""
    grid = _grid(image, block)
    sides = levels(grid, image.energy.size, dose)
    if not sides or (not more and settled(*single)):
        return single[:1]
    finest = in_bins(image, *sides[-1], rows, grid, hidden)
    shown = search(finest, sides, *single, more)
    if shown is None:
        return single[:1]
    if shown.bins is None or shown.level is None:
        return shown.n, shown.reason
    return shown.n, shown.reason, *_spectra(rows, shown.bins, shown.level, hidden)


def _grid(image: SpectrumImage, block: Block | None) -> tuple[int, ...]:
    return image.grid if block is None else tuple(s.stop - s.start for s in block)


def _spectra(rows: Any, bins: Bins, level: Level, hidden: NDArray[np.bool_] | None) -> tuple[Floats, NDArray[np.bool_]]:
    """At all channels, of the maps that bins have, and which are of bins of their own."""
    filled = level.counts[:, None] > 0
    weights = np.divide(level.maps, level.counts[:, None], out=np.zeros_like(level.maps), where=filled)[bins.places]
    if hidden is not None:
        weights[hidden] = 0
    products = products_of_rows(rows, weights) if isinstance(rows, Source) else _emcore.xt_y(rows, weights)
    spectra = spectra_of_maps(products, level.maps, level.counts)
    return at_pure_positions(level.maps, spectra, bins.sums.shape[:2])


def choose_from_bins(
    image: SpectrumImage, block: Block | None, rows: Any, hidden: NDArray[np.bool_] | None, noise: MeasuredNoise
) -> RankChoice:
    """How many components values with a measured gain have."""
    grid = _grid(image, block)
    side = 1
    while math.prod(-(-size // side) for size in grid) * image.energy.size // noise.bin > MOST_BINS:
        side *= 2
    return choose_by_positions(in_bins(image, side, noise.bin, rows, grid, hidden), noise)
