"""Which phases does a spectrum image hold, where are they and what are their spectra?

Counts are weighted for their noise, the number of components is what stands above it, non-negative factors are the
spectra (`methods.unmixing.endmembers`), those of phases that have positions of their own what these show
(`methods.unmixing.pure_positions`), and non-negative least squares on these the maps. Block-wise, every block of
the scan is searched for spectra by itself, which are then joined by their angle (`methods.unmixing.joining`): a phase
that is strong in one block survives there, where a factorisation of the whole scan would lose it (Cozma et al., EMC
2024 no. 367).
"""

import math
import os
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emcore._emcore import __version__
from emcore.core.control import get_num_threads
from emcore.core.documentation import documented
from emcore.core.memory import check_memory, in_words
from emcore.core.progress_bar import with_progress_bar
from emcore.core.provenance import Provenance
from emcore.core.signals import Signal
from emcore.core.validation import Floats, check_count, check_option
from emcore.core.wording import count_of
from emcore.methods.nmf import out_of_core as nmf
from emcore.methods.nmf.fit import LOSSES, nmf_maps
from emcore.methods.pca import out_of_core as pca
from emcore.methods.selection.rules import RankChoice
from emcore.methods.unmixing.endmembers import MOST, WEIGHTINGS
from emcore.methods.unmixing.joining import ANGLE, Joint
from emcore.methods.unmixing.weights import channel_weights
from emcore.outofcore.checkpoint import Job
from emcore.outofcore.sources import Source
from emcore.results.references import as_references
from emcore.results.unmixing import ENERGY, MEASURED, NOISE, Unmixing
from emcore.scans.gaps import Gaps
from emcore.scans.spectra import as_spectrum_image
from emcore.scans.spectrum_images import SpectrumImage, check_range, select
from emcore.scans.spectrum_rows import hash_of_scan, is_out_of_core, predicted, rows_out_of_core
from emcore.workflows.unmix_blocks import (
    Part,
    Settings,
    block_fields,
    is_counting,
    join,
    map_spectra,
    mean_evr,
    search,
    whole_if_better,
)
from emcore.workflows.unmix_noise import doubts, noise_of, said_of, taken_out
from emcore.workflows.unmix_references import absent, known_spectra, what_is_left

# Bytes of a block that "auto" allows, and the least number of blocks along a side.
_BLOCK_BYTES = 1 << 27
_LEAST_BLOCKS = 4


@with_progress_bar
@documented()
def unmix(
    spectrum_image: Any,
    n_components: int | str = "auto",
    *,
    weighting: str = "poisson",
    loss: str = "frobenius",
    references: Any = None,
    navigation_mask: ArrayLike | str | None = None,
    signal_range: tuple[float, float] | None = None,
    negative: str | None = None,
    blocks: tuple[int, int] | str | None = None,
    signal_axis: int | str | None = None,
    scan_shape: tuple[int, int] | None = None,
    dataset: str | int | None = None,
    cosmic_rays: str = "remove",
    memory: int | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Unmixing:
    """Unmix an EDS or EELS spectrum image into maps and spectra of its phases.

    Parameters
    ----------
    spectrum_image : array_like, Signal, HyperSpy signal or path
        Of shape (y, x, channels), or (n, channels) for positions without a grid, not negative,
        in the detector's own type; the energy may be any axis that its unit or name tells. It
        is neither written to nor copied as a float. A memory map, an HDF5 or Zarr array, a lazy
        signal or a Dask array (on whichever scheduler is active) is visited in blocks, with the
        same result.
    n_components : int or "auto", default "auto"
        How many phases. "auto": for counts, the singular values above the optimal threshold at
        their known noise [1]_, or what more bins of positions and channels show that is above
        their noise, in both halves of the counts, and not like another; for a camera's values,
        those above the noise as measured that every other position shares; where noise is not
        known the median rule or the largest gap. Of blocks, each by itself, and the number that
        the angle tells apart. Never fewer than the references.
    weighting : {"poisson", "none"}, default "poisson"
        Whether every count weighs by its noise [2]_.
    loss : {"frobenius", "kullback-leibler"}, default "frobenius"
        Least squares, or the Poisson likelihood of the counts as they are, which is slower.
    references : array_like, Signal, result, path, or several of these in a list or dict, optional
        Spectra that are known, of a support film or of reference phases, shape (channels,) or
        (m, channels): they are the first components, as they are, and count among
        `n_components`; the others are found beside them. With as many as `n_components` this is
        a non-negative fit of known spectra. An ``.msa``, ``.csv``, HDF5 or other file that
        `emcore.read` takes, or a results file. Their energies must be the data's: nothing is
        interpolated.
    navigation_mask : array_like of bool, shape (y, x), or "vacuum", optional
        True for positions to leave out; "vacuum" leaves out those with less than a tenth of the
        counts of bright ones.
    signal_range : (float, float), optional
        First and last energy in eV, in channels where the energy is not calibrated. By default
        all, but of EDS without the detector's strobe peak at 0.
    negative : {"clip"}, optional
        Set negative values to zero if they are fewer than 0.1 %. What is negative by rounding,
        up to 1e-6 of the largest value, is zero in any case.
    blocks : (int, int) or "auto", optional
        Lines and columns of the blocks that are searched by themselves [3]_; "auto" makes them
        as large as 128 MiB and at most a quarter of the scan's sides, and takes the whole where
        that shows more phases or no block holds one alone. By default the scan is searched as a
        whole.
    %(signal_axis)s
    %(scan_shape)s
    %(dataset)s
    cosmic_rays : {"remove", "keep"}, default "remove"
        Whether spikes of few channels at single positions are taken out; they are looked for
        where the measured noise is not that of counts but a camera's, of data in memory.
    %(memory)s
        What takes less than half of it is held in memory; of a file, what takes less than all
        of it.
    %(checkpoint)s
        Of blocks, the state is saved after each block.

    Returns
    -------
    Unmixing
        The same to the last bit on any number of threads. Positions of zeros, of one value
        throughout, and with NaN or infinity are empty: they take no part and are zero in the
        maps.

    Raises
    ------
    ValueError
        Negative values, NaN or infinity at every position (the first is named), no counts at
        all, a mask or range that leaves nothing, more components than channels or positions,
        blocks that do not fit, too little memory (the least is named), a checkpoint of other
        data or options, an unknown option; references on another axis, with negative values, of
        zeros, two that are the same, more than components, or beside blocks.
    TypeError
        Data that are not real numbers, a mask that is not of bool.

    References
    ----------
    .. [1] Gavish & Donoho, IEEE Trans. Inf. Theory 60 (2014) 5040.
    .. [2] Keenan & Kotula, Surf. Interface Anal. 36 (2004) 203.
    .. [3] Cozma et al., EMC 2024 no. 367.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import eds_phases
    >>> sample = eds_phases(minority=0.01)  # or: emcore.unmix("map.bcf")
    >>> result = emcore.unmix(sample.signal)
    >>> result.n_components, result.rule, result.fraction.round(2)
    (3, 'gavish-donoho', array([0.52, 0.47, 0.01]))
    >>> # The strongest lines, in eV: Al, Fe, Cu.
    >>> result.mean.axes[0].values[result.spectra.argmax(axis=1)].round()
    array([1480., 6400., 8040.])

    The spectrum of aluminium is known; which fraction of the counts each has:

    >>> result = emcore.unmix(sample.signal, references={"Al": sample.spectra[0]})
    >>> result.references, result.fraction.round(2)
    (('Al',), array([0.52, 0.47, 0.01]))
    """
    started = time.perf_counter()
    check_option(weighting, WEIGHTINGS, "weighting")
    check_option(loss, LOSSES, "loss")
    check_option(cosmic_rays, ("remove", "keep"), "cosmic_rays")
    if isinstance(n_components, str):
        check_option(n_components, ("auto",), "n_components")
    else:
        check_count(n_components, "n_components", 1)
    parameters: dict[str, Any] = {"n_components": n_components, "weighting": weighting, "loss": loss}
    parameters |= {"navigation_mask": navigation_mask if isinstance(navigation_mask, str | None) else "given"}
    parameters |= {"signal_range": check_range(signal_range), "negative": negative, "cosmic_rays": cosmic_rays}
    job = None
    signal = as_spectrum_image(
        spectrum_image, memory=memory, signal_axis=signal_axis, scan_shape=scan_shape, dataset=dataset
    )
    given = known = None
    if references is not None:
        if blocks is not None:
            raise ValueError("references are fixed for the scan as a whole: leave blocks out")
        given = as_references(references, signal.axes[-1:])
    if checkpoint is not None:
        fixed = {} if given is None else {"references": given.signals}
        job = _job(checkpoint, signal, memory, {**parameters, **fixed, "blocks": blocks}, navigation_mask)
    image = select(
        signal,
        navigation_mask,
        signal_range,
        memory=memory,
        whole=blocks is None,
        job=job,
        negative=negative,
    )
    cut = _cut(image, blocks, memory)
    if given is not None:
        known = known_spectra(given, signal.axes[-1], image.energy, n_components)
        parameters |= {"references": dict(zip(known.names, known.sources, strict=True))}
    if image.source is not None and memory is not None and cut is None:
        print(_predicted(image.source, n_components), file=sys.stderr)
    original = image.original or image.signal
    poisson, counting, noise = weighting == "poisson", is_counting(image), None
    if poisson:
        counting, noise = noise_of(image, counting)
    image, of_rays = taken_out(image, noise) if cosmic_rays == "remove" else (image, [])
    settings = Settings(n_components, weighting, loss, counting, noise, None if known is None else known.spectra)
    parts, sums, counts, constant = search(image, cut, settings)
    gaps = _gaps(image, counts, constant)
    if constant.any():
        image = replace(image, masked=constant.reshape(image.grid) | (False if image.masked is None else image.masked))
    joined = join(parts, sums, settings)
    better = whole_if_better(image, parts, joined, settings) if cut and blocks == n_components == "auto" else None
    if better is not None:
        parts, joined, cut = better[0], better[1], None
    weights = channel_weights(sums, counts, counting, settings.constant) if poisson else np.ones_like(sums)
    if known is not None:
        weights = np.where(sums > 0, weights, weights[sums > 0].max())  # references may be there where no count is
    maps, squares, features = map_spectra(image, cut, joined.spectra, weights, settings)
    # Of the mean spectrum, in which noise is small: maps, which are not negative, have a weak component everywhere.
    whole = nmf_maps(sums[None], joined.spectra, weights=weights)[0]
    m = 0 if known is None else len(known.names)
    order = np.concatenate([np.arange(m), m + np.argsort(-whole[m:], kind="stable")])
    masked = np.zeros(len(maps), dtype=bool) if image.masked is None else image.masked.ravel()
    unit = ENERGY if not poisson else NOISE if counting else MEASURED if noise else ENERGY
    if unit == ENERGY:
        _, by_row, by_feature = map_spectra(image, cut, np.zeros((1, len(sums))), None, settings)
    else:
        gain = noise.gain if noise else 1.0
        by_row = np.where(masked, 0, gain * (counts + settings.constant * len(sums)))
        by_feature = gain * (sums + settings.constant * int((~masked).sum()))
    choice = _choice(parts, joined, n_components)
    first = parts[0].found
    parameters |= {"blocks": None if cut is None else cut}
    scan = tuple(replace(axis, navigation=False) for axis in image.signal.axes[:-1])
    total = Signal(counts.reshape(image.grid).astype(np.float32), scan, image.signal.source, "counts")
    measured = ~(masked | gaps.empty)
    notes = [*image.notes, *gaps.notes, *of_rays, *(better[2:] if better else ()), *_notes(parts, joined, settings)]
    residual_map, residual_spectrum = _divided(squares, by_row), _divided(features, by_feature)
    if known is not None:
        left = what_is_left(
            image.energy, unit, (residual_map, residual_spectrum), (by_row, by_feature), (maps, joined.spectra)
        )
        variance = None if unit == ENERGY else by_feature
        missing = absent(known, maps, joined.spectra, whole, variance, counts)
        notes += [known.note, *(f"hardly any of the reference {each}" for each in missing), *([left] if left else [])]
    notes += doubts(len(order), n_components, unit, float(residual_map[measured].mean()) if measured.any() else 0.0)
    if is_out_of_core(image.signal, memory):
        notes.append(f"data out of core, visited in blocks with a budget of {in_words(check_memory(memory))}")
    return Unmixing(
        maps=np.ascontiguousarray(maps[:, order].T, dtype=np.float32).reshape(-1, *image.grid),
        spectra=joined.spectra[order],
        fraction=whole[order] / max(float(whole.sum()), 1e-300),
        residual_map=residual_map.reshape(image.grid).astype(np.float32),
        residual_spectrum=residual_spectrum,
        residual_unit=unit,
        evr=first.evr if cut is None else mean_evr(parts),
        n_components=len(order),
        rule=choice.rule,
        reason=choice.reason,
        above_edge=max(part.found.above_edge for part in parts),
        image=total,
        mean=Signal(sums / max(int(measured.sum()), 1), (image.energy,), image.signal.source, image.signal.title),
        measured=measured.reshape(image.grid),
        n_empty=gaps.n_empty,
        provenance=Provenance.record(
            "unmix",
            parameters,
            original,
            elapsed=time.perf_counter() - started,
            threads=get_num_threads(),
            notes=notes,
            sha256=hash_of_scan(original, total.data, memory),
        ),
        references=() if known is None else known.names,
        **({} if cut is None else block_fields(parts, joined, order)),
    )


def _gaps(image: SpectrumImage, counts: Floats, constant: NDArray[np.bool_]) -> Gaps:
    empty = counts == 0
    flat = int(constant.sum())
    return Gaps(empty, int(empty.sum()) - flat - image.invalid, flat, image.invalid)


def _job(path: Any, signal: Signal, memory: Any, parameters: dict[str, Any], mask: Any) -> Job:
    """Where an unmixing with these parameters goes on."""
    identity = {"method": "unmix", "version of emcore": __version__, "memory": check_memory(memory), **parameters}
    if not isinstance(mask, str | None):
        identity["navigation_mask"] = np.asarray(mask.data if hasattr(mask, "axes_manager") else mask)
    energy = signal.axes[-1]
    identity["energies"] = [energy.offset, energy.scale, energy.units, *(energy.points or ())]
    return Job(path, rows_out_of_core(signal, slice(None), "spectrum_image", memory).cut(), identity, at_once=True)


def _predicted(source: Source, n_components: int | str) -> str:
    k, d = n_components if isinstance(n_components, int) else MOST, source.shape[1]
    fixed = max(pca.sums_bytes(source.shape, max(k, MOST), "auto"), nmf.sums_bytes(d, k))
    return predicted(source, nmf.row_bytes(k, np.dtype(np.float32), "nndsvda"), fixed)


def _cut(image: SpectrumImage, blocks: Any, memory: Any) -> tuple[int, int] | None:
    """Lines and columns of a block."""
    if blocks is None:
        return None
    if len(image.grid) != 2:
        raise ValueError(f"blocks are cut from a scan of two axes; this one has {len(image.grid)}: leave blocks out")
    if isinstance(blocks, str):
        check_option(blocks, ("auto",), "blocks")
        positions = max(min(_BLOCK_BYTES, check_memory(memory) // 8) // _row_bytes(image), 1)
        side = math.isqrt(positions)
        return tuple(max(1, min(side, -(-size // _LEAST_BLOCKS))) for size in image.grid)  # type: ignore[return-value]
    if not isinstance(blocks, tuple | list) or len(blocks) != 2:
        raise TypeError(f"blocks={blocks!r}: give the lines and columns of a block, for example (64, 64), or 'auto'")
    lines, columns = (
        check_count(side, f"blocks[{i}]", 1, image.grid[i], f"the scan has {image.grid[i]}")
        for i, side in enumerate(blocks)
    )
    if lines * columns < 2:
        raise ValueError(f"blocks={lines}, {columns} are single positions; give blocks of several")
    # The last of a line or column takes the rest.
    largest = math.prod(side + size % side for side, size in zip((lines, columns), image.grid, strict=True))
    if memory is not None and 2 * largest * _row_bytes(image) > check_memory(memory):
        raise ValueError(
            f"memory={in_words(check_memory(memory))} is too little for blocks of {lines} x {columns} positions: the "
            f"smallest possible is {in_words(2 * largest * _row_bytes(image))}; give more, or smaller blocks"
        )
    return lines, columns


def _row_bytes(image: SpectrumImage) -> int:
    return image.energy.size * image.signal.dtype.itemsize


def _choice(parts: list[Part], joined: Joint, n_components: int | str) -> RankChoice:
    if parts[0].block is None:
        return parts[0].found.choice
    k = len(joined.spectra)
    count = len(joined.groups)
    blocks = f"{count} spectra of {count_of(len(parts), 'block')}"
    if not isinstance(n_components, str):
        return RankChoice(k, "given", f"n_components={n_components} was asked for; joined from {blocks}")
    return RankChoice(k, "joined", f"{blocks} joined where their angle is below {ANGLE:g} degrees")


def _notes(parts: list[Part], joined: Joint, settings: Settings) -> list[str]:
    notes = []
    if settings.noise and settings.weighting == "poisson":
        notes.append(said_of(settings.noise))
    elif not settings.counting and settings.weighting == "poisson":
        notes.append("the values are not whole numbers, so their noise is not known from counting")
    k = len(joined.spectra)
    if isinstance(settings.n_components, int) and k < settings.n_components:
        notes.append(f"only {count_of(k, 'component')} of the {settings.n_components} asked for were found")
    if rest := sum(not part.found.settled for part in parts):
        where = "" if len(parts) == 1 else f" of {rest} of {len(parts)} blocks"
        notes.append(f"the factorisation{where} was still improving when it ended: spectra may be a little off")
    if parts[0].block is not None and k > 1 and not any(part.found.own.any() for part in parts):
        notes.append("no block holds a phase alone: spectra may be mixtures, and those of the whole may be better")
    if joined.few:
        notes.append(f"{count_of(joined.few, 'group')} of spectra with too few counts dropped")
    if joined.mixed:
        notes.append(f"{count_of(joined.mixed, 'group')} of spectra dropped that are sums of others")
    return notes


def _divided(squares: Floats, by: Floats) -> Floats:
    return np.divide(squares, by, out=np.zeros_like(squares), where=by > 0)
