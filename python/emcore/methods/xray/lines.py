"""Which element and line may a peak of an X-ray spectrum be?

The energies and relative intensities are those of Elam, Ravel & Sieber (Radiat. Phys. Chem. 63 (2002) 121), which the
package xraydb keeps; without it there are no names. A peak may be the strongest line of a shell (Kα, Lα, Mα) that lies
near it, unless another line that this element must have too is missing from the spectrum; or a weaker line of an
element whose strongest one is there. What the energies leave open stays open: candidates come in the order of how well
they fit.
"""

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emcore.methods.xray.peaks import Peak, find_peaks, net_counts, resolution

# Which transitions are one line for such a detector.
_MERGED = {
    "Kα": ("Ka1", "Ka2"),
    "Kβ": ("Kb1", "Kb3", "Kb2"),
    "Lα": ("La1", "La2"),
    "Lβ": ("Lb1",),
    "Lβ₂": ("Lb2,15",),
    "Lγ": ("Lg1",),
    "Ll": ("Ll",),
    "Mα": ("Ma", "Mb"),
    "Mγ": ("Mg",),
    "Mζ": ("Mz",),
}
_STRONGEST = ("Kα", "Lα", "Mα")
# Of the counts of the strongest line of its shell a weaker one has so much, about and at most.
_WEAKER = {
    "Kβ": ("Kα", 0.13, 0.3),
    "Lβ": ("Lα", 0.5, 1.0),
    "Lβ₂": ("Lα", 0.2, 0.5),
    "Lγ": ("Lα", 0.1, 0.3),
    "Ll": ("Lα", 0.05, 0.2),
    "Mγ": ("Mα", 0.05, 0.3),
    "Mζ": ("Mα", 0.05, 0.4),
}
# What else an element must have: a line that is seen apart from the strongest of a shell, and how much of its counts it
# has at least; of inner shells as much as there is at low overvoltage.
_COMPANIONS = {"Kα": (("Kβ", 0.06),), "Lα": (("Lβ", 0.3), ("Kα", 0.3)), "Mα": (("Lα", 0.04),)}
# M lines of lighter elements are too weak and too soft; heavier elements than uranium are not met.
_FIRST_M, _LAST = 57, 92
# What is not met in a specimen, and what is seldom met there.
_NEVER = frozenset(["He", "Ne", "Kr", "Rn", "Tc", "Pm", "Po", "At", "Fr", "Ra", "Ac", "Pa"])
_SELDOM = frozenset(
    [
        "Li",
        "Be",
        "Ar",
        "Sc",
        "Br",
        "Rb",
        "Ru",
        "Rh",
        "Te",
        "I",
        "Xe",
        "Cs",
        "Pr",
        "Eu",
        "Tb",
        "Dy",
        "Ho",
        "Er",
        "Tm",
        "Yb",
        "Lu",
        "Re",
        "Os",
        "Ir",
        "Tl",
        "Th",
    ]
)
# Farther from a line than this part of the resolution no peak is.
_NEAR = 0.3
# Whose Kα is believed in a weak peak, too.
_OFTEN = frozenset(
    ["C", "N", "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca", "Ti", "Cr", "Mn", "Fe", "Ni", "Cu", "Zn"]
)
# A peak of so few deviations, or of so small a part of the strongest one, is named only after these and what is there
# anyway; the larger part where an M line alone or an element that is seldom met is the proposal.
_WEAK, _WEAK_PART, _DOUBTED_PART = 12.0, 0.02, 0.1
# A missing line speaks against an element where so many deviations of it were expected.
_EXPECTED = 5.0
# The electrons' energy must exceed that of a line by so much for it to be strong enough to be missed.
_OVERVOLTAGE = 1.6
# Scores: what an element gains by being there anyway or by a line that confirms it, and loses by being seldom met, by
# being proposed by an outer shell alone, or by a Kβ that is missing, which an unmixed spectrum may lack. Those of
# alternatives differ by no more than the last.
_KNOWN, _CONFIRMED, _RARITY, _OUTER, _NO_BETA, _ALTERNATIVES = 0.8, 1.0, 0.8, {"L": 0.2, "M": 0.5}, 1.2, 0.6


@dataclass(frozen=True)
class Line:
    """An emission line: element, atomic number, name as it is written ("Kα"), energy in eV."""

    element: str
    number: int
    name: str
    energy: float

    def __str__(self) -> str:
        return f"{self.element} {self.name}"


@cache
def emission_lines() -> tuple[Line, ...]:
    """All lines of the table of xraydb, from lithium on; none where the package is missing.

    Examples
    --------
    >>> from emcore.methods.xray.lines import emission_lines
    >>> [round(line.energy) for line in emission_lines() if str(line) == "Fe Kα"] in ([6401], [])
    True
    """
    spec = find_spec("xraydb")
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    if folder is None:
        return ()
    # Its database is read by itself: importing the package takes longer than drawing a report.
    uri = (Path(folder) / "xraydb.sqlite").as_uri() + "?mode=ro&immutable=1"
    query = """select elements.element, atomic_number, siegbahn_symbol, emission_energy, intensity
        from xray_transitions join elements on elements.element = xray_transitions.element"""
    connection = sqlite3.connect(uri, uri=True)
    try:
        rows = connection.execute(query).fetchall()
    finally:
        connection.close()
    return tuple(_merged(rows))


def _merged(rows: Sequence[tuple[str, int, str, float, float]]) -> list[Line]:
    observed: dict[tuple[str, int], dict[str, tuple[float, float]]] = {}
    for element, number, transition, energy, intensity in rows:
        observed.setdefault((element, number), {})[transition] = (energy, max(intensity, 1e-6))
    lines = []
    for (element, number), transitions in sorted(observed.items(), key=lambda each: each[0][1]):
        for name, members in _MERGED.items():
            present = [transitions[member] for member in members if member in transitions]
            if name == "Mα":
                present = present[:1]
            if present and number <= _LAST and (name[0] != "M" or number >= _FIRST_M):
                weight = sum(intensity for _, intensity in present)
                mean = sum(energy * intensity for energy, intensity in present) / weight
                lines.append(Line(element, number, name, mean))
    return lines


def named_peaks(
    counts: NDArray[np.float64], energy: NDArray[np.float64], known: frozenset[str] = frozenset()
) -> list[tuple[Peak, tuple[Line, ...]]]:
    """The peaks of an X-ray spectrum and the lines that each may be.

    Parameters
    ----------
    counts, energy : ndarray, shape (channels,)
        A spectrum, and the middle of its channels in eV, rising in even steps.
    known : frozenset of str
        Elements that are there: those of the whole scan, for a spectrum of a part of it.

    Returns
    -------
    list of (Peak, tuple of Line)
        Peaks as `find_peaks` has them; lines in the order of how well they fit, those that fit as well as the first and
        no others. None for a peak that is no known line, and none at all without xraydb.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.xray.lines import emission_lines, named_peaks
    >>> energy = 200 + 10.0 * np.arange(1000)
    >>> counts = 100 + 1000 * np.exp(-4 * np.log(2) * ((energy - 6401) / 134) ** 2)
    >>> counts += 140 * np.exp(-4 * np.log(2) * ((energy - 7059) / 140) ** 2)
    >>> names = [str(lines[0]) for peak, lines in named_peaks(counts, energy)] if emission_lines() else None
    >>> names in (["Fe Kα", "Fe Kβ"], None)
    True
    """
    peaks = find_peaks(counts, energy)
    lines = emission_lines()
    if not peaks or not lines:
        return [(peak, ()) for peak in peaks]
    spectrum = _Spectrum(counts, energy, peaks, known)
    named = []
    for peak in peaks:
        scored = sorted(((spectrum.score(peak, line), line) for line in lines), key=lambda each: each[0])
        most = scored[0][0] + _ALTERNATIVES
        chosen = tuple(line for score, line in scored if score <= most and score < math.inf)[:3]
        named.append((peak, chosen))
        if chosen:
            spectrum.present.setdefault((chosen[0].element, chosen[0].name), peak.counts)
    return named


class _Spectrum:
    """A spectrum that is asked how well a line explains a peak, from the strongest peak on."""

    def __init__(
        self, counts: NDArray[np.float64], energy: NDArray[np.float64], peaks: Sequence[Peak], known: frozenset[str]
    ):
        self.counts, self.energy, self.peaks, self.known = counts, energy, peaks, known
        self.present: dict[tuple[str, str], float] = {}
        self.step = float(energy[1] - energy[0])
        sums = np.cumsum(counts)
        # Above this there is next to no continuum: about where the electrons' energy ends, if the detector sees it.
        self.end = float(energy[min(int(np.searchsorted(sums, 0.999 * sums[-1])), len(energy) - 1)])
        self.of = {(line.element, line.name): line for line in emission_lines()}

    def score(self, peak: Peak, line: Line) -> float:
        """The lower the better; infinite where the line does not explain the peak."""
        near = _NEAR * float(resolution(line.energy)) + 0.5 * self.step
        off = ((peak.energy - line.energy) / near) ** 2
        if off > 1:
            return math.inf
        if line.name in _WEAKER:
            strongest, about, most = _WEAKER[line.name]
            larger = self.present.get((line.element, strongest), 0.0)
            # As strong as it should be, it needs no other explanation.
            return math.inf if peak.counts > most * larger else off - 2.0 * (peak.counts < 2 * about * larger)
        return math.inf if line.element in _NEVER else off + self._of_strongest(peak, line)

    def _of_strongest(self, peak: Peak, line: Line) -> float:
        known = line.element in self.known or any(element == line.element for element, _ in self.present)
        confirmed, missing = self._companions(peak, line)
        doubted = line.element in _SELDOM or line.name == "Mα"
        part = _DOUBTED_PART if doubted else _WEAK_PART
        weak = peak.deviations < _WEAK or peak.counts < part * self.peaks[0].counts
        k = line.name == "Kα"
        if (missing and not k) or (weak and not (known or confirmed or (k and line.element in _OFTEN))):
            return math.inf
        score = _RARITY * (line.element in _SELDOM) + _NO_BETA * missing - _KNOWN * known - _CONFIRMED * confirmed
        return score + _OUTER.get(line.name[0], 0.0) * (not confirmed)

    def _companions(self, peak: Peak, line: Line) -> tuple[bool, bool]:
        """Whether another line that the element must have is seen, and whether one that must be seen is missing."""
        confirmed = missing = False
        for name, part in _COMPANIONS.get(line.name, ()):
            other = self.of.get((line.element, name))
            wide = float(resolution(max(other.energy, line.energy))) if other else 0.0
            apart = abs(other.energy - line.energy) / wide if other else 0.0
            if other is None or apart < 1.2 or not self._seen(other, line):
                continue
            at = np.array([other.energy])
            net, deviation = (float(value[0]) for value in net_counts(self.counts, self.energy, at))
            expected = part * peak.counts
            hidden = any(abs(each.energy - other.energy) < 1.5 * wide and each.counts > expected for each in self.peaks)
            if net > max(4 * deviation, expected):
                confirmed = True
            elif apart > 2 and expected > _EXPECTED * deviation and net < 0.5 * expected and not hidden:
                missing = True
        return confirmed, missing

    def _seen(self, other: Line, line: Line) -> bool:
        """Whether the other line lies in the spectrum, and is excited where it is of an inner shell."""
        excited = other.name[0] == line.name[0] or other.energy * _OVERVOLTAGE < self.end
        return excited and bool(self.energy[0] < other.energy < self.energy[-1])
