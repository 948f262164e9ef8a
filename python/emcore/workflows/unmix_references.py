"""Spectra that a user gives to an unmixing: which they are, whether they were found, and what they leave."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis
from emcore.core.validation import Floats
from emcore.core.wording import count_of, number
from emcore.methods.nmf.checks import same_spectra
from emcore.results.references import References
from emcore.results.unmixing import ENERGY

# Hardly any is this part of all counts, which the errors of the other spectra make of nothing, or this many deviations.
_PART, _FOUND = 5e-3, 3.0
# So much more than the deviation of its noise is none of it: an amount at one position of all, a residual there, which
# is skewed, and one in a channel.
_SOMEWHERE, _AT, _IN = 12.0, 10.0, 5.0


@dataclass(frozen=True, eq=False)
class Known:
    """
    Spectra that are fixed.

    Attributes
    ----------
    spectra : ndarray, shape (m, d), float64
        In the channels that count, each of sum 1.
    names, sources : tuple of str, length m
        What they are called, and where they come from.
    compared : bool
        Whether their energies were compared with those of the data.
    """

    spectra: Floats
    names: tuple[str, ...]
    sources: tuple[str, ...]
    compared: bool = True

    @property
    def note(self) -> str:
        """What is fixed, in words."""
        said = [f"{name} ({source})" for name, source in zip(self.names, self.sources, strict=True)]
        unsure = "" if self.compared else "; without energies to compare, channel by channel"
        return f"fixed {'spectrum' if len(said) == 1 else 'spectra'}: {', '.join(said)}{unsure}"


def known_spectra(given: References, whole: Axis, energy: Axis, n_components: int | str) -> Known:
    """
    References in the channels that count: of those along the whole axis, these energies.

    Raises
    ------
    ValueError
        Fewer channels; negative values, zeros, two that are the same, more than components.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.core.signals import Axis
    >>> from emcore.results.references import as_references
    >>> from emcore.workflows.unmix_references import known_spectra
    >>> whole = Axis("energy", 9, 10.0, 100.0, "eV")
    >>> known = known_spectra(as_references({"Al": np.ones(9)}, [whole]), whole, whole.crop(4, 9), "auto")
    >>> known.spectra.tolist(), known.note
    ([[0.2, 0.2, 0.2, 0.2, 0.2]], 'fixed spectrum: Al (array); without energies to compare, channel by channel')
    """
    first = int(np.argmin(np.abs(whole.values - energy.values[0])))
    wanted = slice(first, first + energy.size)
    if given.channels.start > wanted.start or given.channels.stop < wanted.stop:
        own, needed = (whole.values[[each.start, each.stop - 1]] for each in (given.channels, wanted))
        raise ValueError(
            f"references reach from {own[0]:.6g} to {own[1]:.6g}{_units(whole)}, the data from {needed[0]:.6g} to "
            f"{needed[1]:.6g}: give signal_range=({own[0]:.6g}, {own[1]:.6g}), or references of all channels"
        )
    spectra = given.signals[:, slice(wanted.start - given.channels.start, wanted.stop - given.channels.start)]
    for name, spectrum in zip(given.names, spectra, strict=True):
        if (least := float(spectrum.min())) < 0:
            raise ValueError(f"reference {name!r} has negative values, the smallest {least:.3g}; clip them first")
        if not spectrum.any():
            raise ValueError(f"reference {name!r} is zero in all channels that are unmixed; leave it out")
    if (same := same_spectra(spectra)) is not None:
        one, other = (given.names[i] for i in same)
        raise ValueError(f"references {one!r} and {other!r} are the same, so nothing tells them apart; give one")
    if isinstance(n_components, int) and n_components < len(spectra):
        raise ValueError(f"n_components={n_components} is less than the {len(spectra)} references; ask for as many")
    return Known(spectra / spectra.sum(axis=1, keepdims=True), given.names, given.sources, given.compared)


def absent(
    known: Known, maps: NDArray[Any], spectra: Floats, whole: Floats, noise: Floats | None, counts: Floats
) -> list[str]:
    """
    The references of which hardly any is there, with the part of the counts that is theirs, in words.

    Parameters
    ----------
    known : Known
    maps, spectra : ndarray, shapes (n, k) and (k, d)
        The references come first.
    whole : ndarray, shape (k,)
        What the sum of all spectra holds of each.
    noise : ndarray, shape (d,), or None
        Variance of the sum of all spectra; None where it is not known.
    counts : ndarray, shape (n,)

    Examples
    --------
    >>> known = Known(np.eye(2), ("a", "b"), ("array", "array"))
    >>> absent(known, np.array([[50, 1.0], [40, 2.0]]), np.eye(2), np.array([90, 3.0]), np.array([90, 3.0]), np.ones(2))
    ['b: 3.23 % of the counts']
    """
    m = len(known.names)
    parts = whole[:m] / max(float(whole.sum()), 1e-300)
    found = parts > _PART
    if noise is not None:
        filled = noise > 0
        gram = np.einsum("ij,j,kj->ik", spectra[:, filled], 1 / noise[filled], spectra[:, filled])
        deviation = np.sqrt(np.maximum(np.diag(np.linalg.pinv(gram, rcond=1e-10, hermitian=True)), 0))[:m]
        # Of one position, by its part of the counts.
        at_one = deviation * np.sqrt(counts / counts.sum())[:, None]
        found = (found & (whole[:m] > _FOUND * deviation)) | (maps[:, :m] > _SOMEWHERE * at_one).any(axis=0)
    named = zip(known.names, parts, found, strict=True)
    return [f"{name}: {number(100 * float(part))} % of the counts" for name, part, there in named if not there]


def what_is_left(
    energy: Axis,
    unit: str,
    residuals: tuple[Floats, Floats],
    noise: tuple[Floats, Floats],
    model: tuple[NDArray[Any], Floats],
) -> str:
    """
    Where the residual is above noise, in words.

    Parameters
    ----------
    energy : Axis
    unit : str
        Of the residuals; of one without noise nothing is said.
    residuals : (ndarray, ndarray), shapes (n,) and (d,)
        Over their noise.
    noise : (ndarray, ndarray), shapes (n,) and (d,)
        What residuals are on average where they are noise alone, by which they were divided.
    model : (ndarray, ndarray), shapes (n, k) and (k, d)
        Maps and spectra.
    """
    if unit == ENERGY:
        return ""
    maps, spectra = np.asarray(model[0], dtype=np.float64), model[1]
    (of_rows, of_channels), (rows, channels) = residuals, noise
    # Counts of mean m have (x - m)² of the variance 2 m² + m.
    squares = np.einsum("ij,ij->i", np.einsum("ij,jk->ik", maps, np.einsum("jd,kd->jk", spectra, spectra)), maps)
    spread = np.sqrt(2 * squares + rows) / np.maximum(rows, 1e-300)
    high = (rows > 0) & (of_rows > 1 + _AT * spread)
    parts = rows / max(float(rows.sum()), 1e-300)
    spread = np.sqrt(2 * float(np.square(parts).sum()) + 1 / np.maximum(channels, 1e-300))
    above = (channels > 0) & (of_channels > 1 + _IN * spread)
    if not (high.any() or above.any()):
        return "what the components leave is noise, at every position and in every channel"
    where = [f"at {int(high.sum())} of {count_of(int((rows > 0).sum()), 'position')}"] if high.any() else []
    if above.any():
        largest = float(energy.values[np.argmax(np.where(above, (of_channels - 1) * channels, 0))])
        many = f"in {int(above.sum())} of {count_of(len(above), 'channel')}"
        where.append(f"{many}, most at {number(largest, 4)}{_units(energy)}")
    said = f"what the components leave is more than noise {' and '.join(where)}"
    return f"{said}: a phase is missing, or a reference is not quite its phase's"


def _units(axis: Axis) -> str:
    return f" {axis.units}" if axis.calibrated else ""
