"""A spectrum on a page: its axis in a unit that reads well, its peaks with their places, of X-rays with their lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.quantities import in_prefix
from emcore.core.signals import Axis
from emcore.core.units import ENERGIES
from emcore.core.wording import symbol
from emcore.methods.xray.lines import Line, named_peaks
from emcore.methods.xray.peaks import xray_energies

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Peaks that are labelled, and how far apart the labels are in inches at least.
_LABELS, _GAP = 12, 0.115
_WEAK = 0.03
# Room above the highest peak for its label, in inches for each letter.
_LETTER = 0.05


@dataclass(frozen=True)
class NamedPeak:
    """A peak as one reads it: its channel, where it is, which lines it may be, how strong it is."""

    channel: int
    place: str
    lines: tuple[Line, ...]
    strength: float

    @property
    def name(self) -> str:
        """The lines that it may be, "S Kα/Mo Lα"; nothing where none is known."""
        return "/".join(map(str, self.lines))

    def __str__(self) -> str:
        return f"{self.name} {self.place}".strip()


def shown_axis(axis: Axis) -> Axis:
    """The axis of a spectrum in the unit in which it is drawn: energies beyond 3000 eV in keV."""
    kilo = axis.to("keV") if axis.units == "eV" and axis.values[-1] > 3000 else None
    return kilo or axis


def label_of(axis: Axis) -> str:
    """The axis' name with its unit."""
    name = "energy" if axis.units in ENERGIES and axis.name in ("", "channel", "x") else axis.name
    return f"{name} ({symbol(axis.units)})" if axis.calibrated else name


def peaks_of(result: Any) -> list[list[NamedPeak]]:
    """The peaks of the spectrum of every component of an unmixing, the strongest first."""
    (axis,) = result.mean.axes
    energy = xray_energies(axis)
    sums = result.maps.reshape(result.n_components, -1).sum(axis=1, dtype=np.float64)
    spectra = result.spectra * sums[:, None]
    if energy is None:
        return [_other_peaks(spectrum, axis) for spectrum in spectra] if axis.calibrated else [[] for _ in spectra]
    known = frozenset(lines[0].element for _, lines in named_peaks(spectra.sum(axis=0), energy) if lines)
    return [xray_peaks(spectrum, energy, known) for spectrum in spectra]


def xray_peaks(counts: NDArray[Any], energy: NDArray[Any], known: frozenset[str] = frozenset()) -> list[NamedPeak]:
    """The peaks of an X-ray spectrum, its energies in eV, said in keV; see `emcore.methods.xray.lines.named_peaks`.

    Where lines are named, a weak peak without a name is left out.
    """
    named = named_peaks(np.asarray(counts, dtype=np.float64), energy, known)
    if any(lines for _, lines in named):
        named = [(peak, lines) for peak, lines in named if lines or peak.counts > _WEAK * named[0][0].counts]
    return [NamedPeak(peak.channel, f"{peak.energy / 1e3:.2f}", lines, peak.counts) for peak, lines in named]


def _other_peaks(counts: NDArray[np.float64], axis: Axis) -> list[NamedPeak]:
    """The peaks of any other spectrum, by how far they stand out of its noise."""
    from scipy.signal import find_peaks

    # The root of counts has a deviation of a half everywhere.
    roots = np.sqrt(np.maximum(counts, 0))
    smooth = np.convolve(np.pad(roots, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    noise = 1.48 * float(np.median(np.abs(roots - smooth)))
    peaks, about = find_peaks(smooth, prominence=max(3 * noise, 0.04 * float(smooth.max()), 1e-30))
    # Behind a dip the continuum seems a peak.
    around = np.median(np.lib.stride_tricks.sliding_window_view(np.pad(smooth, 60, mode="edge"), 121), axis=1)
    above = smooth[peaks] > 1.2 * around[peaks]
    shown = shown_axis(axis)
    step = abs(shown.scale)
    digits = min(max(-math.floor(math.log10(step)), 0), 3) if step > 0 else 0
    digits = 2 if shown.units == "keV" else digits
    named = []
    for spot, strength in zip(peaks[above], about["prominences"][above], strict=True):
        low = max(int(spot) - 2, 0)
        channel = low + int(np.argmax(counts[low : spot + 3]))
        named.append(NamedPeak(channel, f"{shown.values[channel]:.{digits}f}", (), float(strength)))
    return sorted(named, key=lambda peak: -peak.strength)


def peaks_said(peaks: Sequence[NamedPeak], axis: Axis, most: int) -> str:
    """The strongest peaks in a table or a terminal: "Si Kα 1.74, O Kα 0.53 keV"."""
    units = "keV" if xray_energies(axis) is not None else shown_axis(axis).units
    said = ", ".join(str(peak) for peak in peaks[:most])
    return f"{said} {symbol(units)}" if said and axis.calibrated else said


def draw_spectrum(
    axes: "Axes",
    spectrum: NDArray[Any],
    axis: Axis,
    color: Any,
    *,
    behind: NDArray[Any] | None = None,
    peaks: Sequence[NamedPeak] = (),
    last: int | None = None,
    label: str = "counts",
) -> None:
    """Draw a spectrum without negative values on a square-root scale, its peaks labelled.

    Parameters
    ----------
    axes : matplotlib Axes
    spectrum : ndarray, shape (channels,)
    axis : Axis
    color : colour
    behind : ndarray, shape (channels,), optional
        Another spectrum, grey, behind it.
    peaks : sequence of NamedPeak
        The strongest first; as many are labelled as there is room for.
    last : int, optional
        So many channels are shown, default all.
    label : str
        What the values are.
    """
    last = len(spectrum) if last is None else last
    shown = shown_axis(axis)
    energy = shown.values
    highest = float(spectrum[:last].max()) or 1.0
    factor, said = in_prefix(highest if highest >= 1e6 else 1.0, "")
    spectrum, highest = spectrum / factor, highest / factor
    axes.set_yscale("function", functions=(lambda v: np.sqrt(np.maximum(v, 0)), np.square))
    if behind is not None:
        axes.plot(energy, behind / factor, color="0.75", linewidth=0.8)
    axes.plot(energy, spectrum, color=color, linewidth=1.0)
    axes.set_xlabel(label_of(shown))
    axes.set_ylabel(f"{label} ({said})" if said else label)
    axes.set_xlim(energy[0], energy[last - 1])
    axes.spines[["top", "right"]].set_visible(False)
    peaks = [peak for peak in peaks if peak.channel < last][:_LABELS]
    box = axes.get_position(original=True).transformed(axes.figure.transSubfigure)
    wide, high = float(box.width / axes.figure.dpi), float(box.height / axes.figure.dpi)
    heights = [math.sqrt(max(float(spectrum[peak.channel]), 0) / highest) for peak in peaks]
    # What part of the height remains for the highest peak when every label has room above its own.
    room = (
        min((1 - (0.08 + _LETTER * len(str(p))) / high) / h for p, h in zip(peaks, heights, strict=True) if h)
        if peaks
        else 1
    )
    axes.set_ylim(0, highest / min(max(room, 0.45), 0.95) ** 2)
    axes.set_yticks([0, *(float(f"{highest * part:.1g}") for part in (0.1, 1.0))])
    _label_peaks(axes, peaks, energy, spectrum, _GAP / wide * abs(energy[last - 1] - energy[0]))


def _label_peaks(
    axes: "Axes", peaks: Sequence[NamedPeak], energy: NDArray[Any], spectrum: NDArray[Any], gap: float
) -> None:
    """Labels above peaks, moved aside as far as they must be in order not to touch each other."""
    peaks = sorted(peaks, key=lambda peak: float(energy[peak.channel]))
    low, high = sorted(axes.get_xlim())
    places = spread([float(energy[peak.channel]) for peak in peaks], gap, (low + gap / 2, high - gap / 2))
    for peak, place in zip(peaks, places, strict=True):
        at, value = float(energy[peak.channel]), float(spectrum[peak.channel])
        under = spectrum[np.abs(energy - place) < gap / 2]
        above = max(value, float(under.max()) if under.size else 0.0)
        if abs(place - at) > 0.3 * gap:
            axes.plot([at, place], [value, above], color="0.5", linewidth=0.4)
        axes.annotate(
            str(peak),
            (place, above),
            xytext=(0, 3),
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=6,
        )


def spread(places: Sequence[float], gap: float, within: tuple[float, float] = (-math.inf, math.inf)) -> list[float]:
    """Rising places moved as little as it takes, in squares, for neighbours to be `gap` apart and all `within`.

    Examples
    --------
    >>> from emcore.reporting.pages.spectra import spread
    >>> spread([1.0, 1.0, 5.0], 1.0), spread([0.1, 0.1], 1.0, (0.0, 9.0))
    ([0.5, 1.5, 5.0], [0.0, 1.0])
    """
    # Less their own share of the gaps they must not fall: neighbours that do are pooled.
    pools: list[tuple[float, int]] = []
    for index, place in enumerate(places):
        pools.append((place - index * gap, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (low, few), (high, many) = pools[-2:]
            pools[-2:] = [((low * few + high * many) / (few + many), few + many)]
    levels = [level for level, size in pools for _ in range(size)]
    least, most = within[0], within[1] - (len(places) - 1) * gap
    return [max(min(level, most), least) + index * gap for index, level in enumerate(levels)]
