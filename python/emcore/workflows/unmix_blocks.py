"""A spectrum image searched for spectra, as a whole or block by block; these joined; maps of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.core.wording import count_of
from emcore.methods.nmf.fit import nmf_maps
from emcore.methods.nmf.residuals import residuals
from emcore.methods.preprocessing import selected
from emcore.methods.selection.measured_noise import MeasuredNoise
from emcore.methods.selection.rules import RankChoice
from emcore.methods.unmixing.endmembers import Endmembers, find_endmembers
from emcore.methods.unmixing.joining import Joint, join_spectra
from emcore.methods.unmixing.weights import channel_weights
from emcore.outofcore.checkpoint import step
from emcore.scans.gaps import counts_of
from emcore.scans.spectrum_images import Block, SpectrumImage
from emcore.workflows.unmix_rank import choose_from_bins, search_bins

# A joined spectrum stands for at least this part of all counts.
_PART = 1e-4
# Positions that tell whether values are whole numbers; more, where fewer than enough of them were measured.
_LOOKED_AT, _MORE, _ENOUGH = 64, 2048, 16


@dataclass(frozen=True)
class Settings:
    n_components: int | str
    weighting: str
    loss: str
    counting: bool
    noise: MeasuredNoise | None = None
    references: Floats | None = None

    @property
    def constant(self) -> float:
        """Of `channel_weights`: the variance of the read noise over the gain."""
        return self.noise.read**2 / self.noise.gain if self.noise else 0.0


@dataclass(frozen=True, eq=False)
class Part:
    """A block, or all, with the spectra found in it and the counts of each."""

    block: Block | None
    found: Endmembers
    counts: Floats


def blocks_of(grid: tuple[int, ...], size: tuple[int, int]) -> Iterator[Block]:
    """The blocks of a scan, line by line; the last of a line or column takes the rest.

    Examples
    --------
    >>> from emcore.workflows.unmix_blocks import blocks_of
    >>> [(y.start, y.stop, x.start, x.stop) for y, x in blocks_of((4, 7), (4, 3))]
    [(0, 4, 0, 3), (0, 4, 3, 7)]
    """
    cuts = [[*range(0, max(n - n % step, 1), step), n] for n, step in zip(grid, size, strict=True)]
    for y in zip(cuts[0][:-1], cuts[0][1:], strict=True):
        for x in zip(cuts[1][:-1], cuts[1][1:], strict=True):
            yield slice(*y), slice(*x)


def _blocks(image: SpectrumImage, cut: tuple[int, int] | None) -> list[tuple[Block | None, NDArray[np.intp]]]:
    """Every block with the positions in it, counted along the whole scan."""
    places = np.arange(math.prod(image.grid)).reshape(image.grid)
    if cut is None:
        return [(None, places.ravel())]
    return [(block, places[block].ravel()) for block in blocks_of(image.grid, cut)]


def is_counting(image: SpectrumImage) -> bool:
    """Whether the values are whole numbers, as far as some positions tell."""
    data = image.signal.data
    if data.dtype.kind in "biu":
        return True
    n = math.prod(image.grid)
    for count in (_LOOKED_AT, _MORE):
        few = np.unique(np.linspace(0, n - 1, count).astype(int))
        rows = data.reshape(n, -1)[few] if image.source is None else image.source.take(few.tolist())
        if len(few) == n or np.count_nonzero(rows.any(axis=1)) >= _ENOUGH:  # empty positions tell nothing
            break
    return bool((rows % 1 == 0).all())


def search(
    image: SpectrumImage, cut: tuple[int, int] | None, settings: Settings, above: int = 0
) -> tuple[list[Part], Floats, Floats, NDArray[np.bool_]]:
    """Spectra of every block, the counts of all channels and positions that count, and which of these are constant.

    Of a block with no more components than some, no spectra are sought.
    """
    sums, counts = np.zeros(image.energy.size), np.zeros(math.prod(image.grid))
    constant = np.zeros(len(counts), dtype=bool)
    parts = []
    for block, places in _blocks(image, cut):
        searched = partial(_searched, image, block, places, settings, above)
        counts[places], totals, constant[places], *values = step(image, _named("search", block), searched)
        if values:
            sums += totals
            spectra, *choice, evr, above_edge, settled, own, of_spectra = values
            endmembers = Endmembers(spectra, RankChoice(*choice), evr, above_edge, settled, own)
            parts.append(Part(block, endmembers, of_spectra))
    if not parts:
        raise ValueError("spectrum_image holds no counts where it is not masked; there is nothing to unmix")
    return parts, sums, counts, constant


def _named(step: str, block: Block | None) -> str:
    """Of a step that is made of every block, or of all."""
    return step if block is None else f"{step} of the block at {block[0].start}, {block[1].start}"


def _searched(
    image: SpectrumImage, block: Block | None, places: NDArray[np.intp], settings: Settings, above: int
) -> tuple[Any, ...]:
    """Counts of the positions and channels of a block, or of all, and which positions are constant; and if there are
    any counts, what makes its `Part`.
    """
    rows, allowed = image.rows(block), _allowed(image, places)
    counts, totals, constant, _ = step(rows, "sums", lambda: counts_of(rows, allowed))
    if constant.any():
        allowed = np.setdiff1d(np.arange(len(counts)) if allowed is None else allowed, np.flatnonzero(constant))
    own = counts if allowed is None else counts[allowed]
    if not own.sum() > 0:
        return counts, totals, constant
    wanted = settings.n_components if block is None else "auto"
    weighted = settings.weighting == "poisson"
    deeper = measured = None
    hidden = None if allowed is None else np.isin(np.arange(len(counts)), allowed, invert=True)
    if weighted and settings.counting:
        deeper = search_bins(image, block, rows, hidden, float(own.sum()) / int(np.count_nonzero(own)))
    elif weighted and settings.noise:
        noise = settings.noise
        choice = choose_from_bins(image, block, rows, hidden, noise) if wanted == "auto" else None
        measured = choice, noise.gain_of_bin, settings.constant
    endmembers = find_endmembers(
        rows,
        wanted,
        settings.weighting,
        settings.loss,
        settings.counting,
        allowed,
        (counts, totals),
        deeper,
        measured,
        image.grid if block is None else tuple(s.stop - s.start for s in block),
        above,
        settings.references,
    )
    of_spectra = np.array([own.sum()])
    if block is not None:
        weights = channel_weights(totals, own, settings.counting, settings.constant) if weighted else None
        maps = nmf_maps(rows, endmembers.spectra, weights=weights)
        of_spectra = (maps if allowed is None else maps[allowed]).sum(axis=0, dtype=np.float64)
    choice = endmembers.choice
    chosen = choice.n, choice.rule, choice.reason
    return (
        counts,
        totals,
        constant,
        endmembers.spectra,
        *chosen,
        endmembers.evr,
        endmembers.above_edge,
        endmembers.settled,
        endmembers.own,
        of_spectra,
    )


def _allowed(image: SpectrumImage, places: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """Which of these positions are not masked; None where nothing is."""
    return None if image.masked is None else np.flatnonzero(~image.masked.ravel()[places])


def join(parts: list[Part], sums: Floats, settings: Settings) -> Joint:
    """One set of spectra for all blocks."""
    if len(parts) == 1 and parts[0].block is None:
        spectra = parts[0].found.spectra
        return Joint(spectra, np.arange(len(spectra)), 0, 0)
    spectra = np.concatenate([part.found.spectra for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    floor = max(_PART * float(sums.sum()), float(len(sums)) if settings.counting else 0.0)
    number = settings.n_components if isinstance(settings.n_components, int) else None
    return join_spectra(spectra, counts, floor, number)


def whole_if_better(
    image: SpectrumImage, parts: list[Part], joined: Joint, settings: Settings
) -> tuple[list[Part], Joint, str] | None:
    """All as one part, its spectra, and why, if it holds more than the blocks or no block holds a phase alone."""
    pure = len(joined.spectra) == 1 or any(part.found.own.any() for part in parts)
    whole, sums, _, _ = search(image, None, settings, above=len(joined.spectra) if pure else 0)
    more = len(whole[0].found.spectra)
    if more <= len(joined.spectra) and (pure or more < len(joined.spectra)):
        return None
    where = f"blocks show {count_of(len(joined.spectra), 'phase')}, the whole {more}"
    why = where if more > len(joined.spectra) else "no block holds a phase alone"
    return whole, join(whole, sums, settings), f"{why}: the scan was searched as a whole"


def map_spectra(
    image: SpectrumImage, cut: tuple[int, int] | None, spectra: Floats, weights: Floats | None, settings: Settings
) -> tuple[NDArray[Any], Floats, Floats]:
    """Maps (n, k) of the spectra, and the squares that they leave at every position and in every channel.

    Without weights the maps are zero.
    """
    mapped = partial(_mapped, image, cut, spectra, weights, settings.loss)
    name = "squares of the data" if weights is None else "maps and residuals"
    maps, squares, features = step(image, name, mapped)
    return maps, squares, features


def _mapped(
    image: SpectrumImage, cut: tuple[int, int] | None, spectra: Floats, weights: Floats | None, loss: str
) -> tuple[NDArray[Any], Floats, Floats]:
    n = math.prod(image.grid)
    maps = np.zeros((n, len(spectra)), dtype=np.float64 if image.signal.dtype == np.float64 else np.float32)
    squares, features = np.zeros(n), np.zeros(image.energy.size)
    for block, places in _blocks(image, cut):
        rows = image.rows(block)
        of_block: Any = np.zeros((len(places), len(spectra)), dtype=maps.dtype)
        if weights is not None:
            (of_block,) = step(rows, "maps", partial(_maps, rows, spectra, weights, loss))
        allowed = _allowed(image, places)
        if allowed is None:
            maps[places] = of_block
            squares[places], over = residuals(rows, of_block, spectra)
        elif allowed.size:
            maps[places[allowed]] = of_block[allowed]
            squares[places[allowed]], over = residuals(selected(rows, allowed), of_block[allowed], spectra)
        else:
            continue
        features += over
    return maps, squares, features


def _maps(rows: Any, spectra: Floats, weights: Floats, loss: str) -> tuple[NDArray[Any]]:
    likely = loss == "kullback-leibler"
    return (nmf_maps(rows, spectra, loss=loss) if likely else nmf_maps(rows, spectra, weights=weights),)


def mean_evr(parts: list[Part]) -> Floats:
    size = min(len(part.found.evr) for part in parts)
    weights = np.array([part.counts.sum() for part in parts])
    return np.asarray(np.average([part.found.evr[:size] for part in parts], axis=0, weights=weights))


def block_fields(parts: list[Part], joined: Joint, order: NDArray[np.intp]) -> dict[str, Any]:
    corners = [(y.start, y.stop, x.start, x.stop) for y, x in (part.block for part in parts if part.block)]
    ranks = [len(part.found.spectra) for part in parts]
    owner = np.repeat(np.arange(len(parts)), ranks)
    counts = np.concatenate([part.counts for part in parts])
    shares = np.zeros((len(parts), len(joined.spectra)))
    joint = joined.groups >= 0
    np.add.at(shares, (owner[joint], joined.groups[joint]), counts[joint])
    return {
        "blocks": np.array(corners, dtype=np.int32),
        "block_ranks": np.array(ranks, dtype=np.int32),
        "contributions": shares[:, order],
    }
