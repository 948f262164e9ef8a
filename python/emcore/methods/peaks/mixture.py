"""How many energies do the peaks of many spectra have, which are they, and how far do they scatter?

A mixture of normal distributions on the pooled energies, and of one that is the same everywhere, which takes the peaks
that noise made. The number is that of the lowest Bayesian information criterion, in which each also costs what it takes
to look for it all along the axis (Chen & Chen, Biometrika 95 (2008) 759): of many channels a few hold several positions
by chance. Normal distributions between which the mixture has no dip are one peak, whose energies are not normally
distributed. Positions are counted in bins much finer than a channel, so that a fit takes as long for a million of them
as for a thousand.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import Floats
from emcore.core.wording import count_of

MOST = 12
"""Numbers that are tried."""
# Numbers above the best so far after which the search ends.
_PATIENCE = 3
# Bins in a channel; steps of a fit; what the logarithm of the likelihood gains for each position where it ends.
_BINS, _STEPS, _GAIN = 10, 300, 1e-6
# Part of the positions that noise makes at least, everywhere: where none is allowed for, a few are a peak of their own.
_NOISE = 0.005
# Where the mixture between two is at least this part of what it is at the lower of them, they are one: alike ones that
# lie closer than 3.1 times their standard deviation.
_DIP = 0.6


class PeakMixture(NamedTuple):
    """
    Energies of peaks.

    Attributes
    ----------
    energies : ndarray, shape (k,)
        Rising; of a peak of several normal distributions the mean of the highest.
    spreads : ndarray, shape (k,)
        Standard deviations of the positions of each about it.
    errors : ndarray, shape (k,)
        Standard errors of the energies.
    weights : ndarray, shape (k,)
        Parts of the pooled positions; the rest is spread everywhere.
    labels : ndarray of int32, shape (p,)
        The likeliest of each position; -1: it is none of them.
    bic : ndarray, shape (m, 2)
        The numbers that were tried, and the criterion of each.
    reason : str
    density : ndarray, shape (k + 1, bins)
        Of each and of what is everywhere, per unit of energy, at `places`; together they integrate to 1.
    places : ndarray, shape (bins,)
    """

    energies: Floats
    spreads: Floats
    errors: Floats
    weights: Floats
    labels: NDArray[np.int32]
    bic: Floats
    reason: str
    density: Floats
    places: Floats


class _Model(NamedTuple):
    means: Floats
    variances: Floats
    weights: Floats
    """Of the normal distributions, then of what is everywhere."""
    likelihood: float


def peak_mixture(positions: Floats, energies: Floats, n_peaks: int | None = None) -> PeakMixture:
    """
    Group pooled positions of peaks.

    Parameters
    ----------
    positions : ndarray, shape (p,)
        Between the first and the last energy; at least two.
    energies : ndarray, shape (d,)
        The axis, rising or falling. No variance is below the square of a channel's width over 12.
    n_peaks : int, optional
        Default: the number from 1 to 12 with the lowest criterion, less those that are no peaks of their own.

    Returns
    -------
    PeakMixture

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.peaks.mixture import peak_mixture
    >>> rng = np.random.default_rng(0)
    >>> positions = np.concatenate([rng.normal(2, 0.1, 300), rng.normal(4.5, 0.2, 900), rng.uniform(0, 7, 60)])
    >>> found = peak_mixture(positions, np.linspace(0, 7, 71))
    >>> found.energies.round(1).tolist(), found.spreads.round(1).tolist()
    ([2.0, 4.5], [0.1, 0.2])
    """
    data = _Binned(positions, energies)
    if n_peaks is not None:
        model = data.models(n_peaks)[-1]
        tried = [(n_peaks, data.criterion(model))]
        parts, reason = [[i] for i in range(n_peaks)], f"n_peaks={n_peaks} was asked for"
    else:
        models = data.models(min(MOST, len(np.unique(positions))), _PATIENCE)
        model = data.pruned(min(models, key=data.criterion))
        tried = [(len(each.means), data.criterion(each)) for each in models]
        tried[len(model.means) - 1] = len(model.means), data.criterion(model)
        parts = data.joined(model)
        count = len(model.means)
        reason = (
            f"the Bayesian information criterion is lowest for {count_of(count, 'component')} of 1 to {tried[-1][0]}"
        )
        if len(parts) < count:
            reason += f", of which those without a dip between them are one: {count_of(len(parts), 'peak')}"
    return _described(data, model, parts, positions, np.array(tried), reason)


class _Binned:
    """Positions counted in bins, and what the energies' axis says of them."""

    def __init__(self, positions: Floats, energies: Floats) -> None:
        axis = np.sort(energies)
        fine = np.interp(np.arange(0, _BINS * (len(axis) - 1) + 1) / _BINS, np.arange(len(axis)), axis)
        self.edges, self.channels = fine, len(axis)
        self.places = (fine[1:] + fine[:-1]) / 2
        self.counts = np.histogram(positions, fine)[0].astype(np.float64)
        self.total = float(self.counts.sum())
        self.floor = np.square(np.interp(self.places, axis, np.gradient(axis))) / 12
        self.everywhere = 1 / (axis[-1] - axis[0])

    def density(self, model: _Model) -> Floats:
        """Of every normal distribution and of what is everywhere, shape (k + 1, bins)."""
        apart = np.square(self.places - model.means[:, None]) / model.variances[:, None]
        normal = np.exp(-apart / 2) / np.sqrt(2 * math.pi * model.variances)[:, None]
        everywhere = np.full((1, len(self.places)), self.everywhere)
        density: Floats = model.weights[:, None] * np.vstack([normal, everywhere])
        return density

    def criterion(self, model: _Model) -> float:
        each = 3 * math.log(self.total) + 2 * math.log(self.channels)
        return each * len(model.means) - 2 * model.likelihood

    def models(self, most: int, patience: int | None = None) -> list[_Model]:
        """The best mixtures of 1 to `most`: each begins where the one before it explains too little."""
        found: list[_Model] = []
        lowest = 0
        for k in range(1, most + 1):
            if patience is not None and k - 1 - lowest > patience:
                break
            starts = [self._from_modes(k)]
            if found:
                starts += [self._with_one_more(found[-1], scale) for scale in (1.0, 4.0)]
            found.append(max((self._fitted(start) for start in starts), key=lambda model: model.likelihood))
            if self.criterion(found[-1]) <= self.criterion(found[lowest - 1]):
                lowest = k
        return found

    def pruned(self, model: _Model) -> _Model:
        """The mixture without what it is as good without: where a start left a component that others did not need."""
        while len(model.means) > 1:
            rest = [np.delete(np.arange(len(model.means)), i) for i in range(len(model.means))]
            without = [
                self._fitted(_Model(model.means[i], model.variances[i], np.append(model.weights[i], 0.01), 0.0))
                for i in rest
            ]
            best = min(without, key=self.criterion)
            if self.criterion(best) > self.criterion(model):
                break
            model = best
        return model

    def _from_modes(self, k: int) -> _Model:
        """A start from the highest maxima of the smoothed counts."""
        smooth = self._smooth(self.counts, 1.0)
        inner = np.flatnonzero((smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:])) + 1
        at = inner[np.argsort(-smooth[inner], kind="stable")][:k]
        rest = np.interp((np.arange(k - len(at)) + 0.5) / max(k - len(at), 1), self._shares(), np.arange(len(smooth)))
        chosen = np.append(at, np.rint(rest).astype(int))
        return _Model(self.places[chosen], 12 * self.floor[chosen], np.append(np.full(k, 0.95 / k), 0.05), 0.0)

    def _shares(self) -> Floats:
        return np.cumsum(self.counts) / self.total

    def _with_one_more(self, model: _Model, scale: float) -> _Model:
        """A start with one more where the smoothed counts are most above the model."""
        expected = self.density(model).sum(axis=0) * np.diff(self.edges) * self.total
        above = self._smooth(self.counts - expected, scale) / np.sqrt(self._smooth(expected, scale) + 1)
        at = int(np.argmax(above))
        weights = np.append(model.weights[:-1] * 0.9, [0.1 * (1 - model.weights[-1]), model.weights[-1]])
        variance = 12 * scale**2 * self.floor[at]
        return _Model(np.append(model.means, self.places[at]), np.append(model.variances, variance), weights, 0.0)

    def _smooth(self, counts: Floats, scale: float) -> Floats:
        """Over so many channels."""
        from scipy.ndimage import gaussian_filter1d

        smooth: Floats = gaussian_filter1d(counts, scale * _BINS, mode="reflect")
        return smooth

    def _fitted(self, model: _Model) -> _Model:
        """By expectation and maximisation."""
        used = np.flatnonzero(self.counts)
        places, counts, floor = self.places[used], self.counts[used], self.floor[used]
        means, variances, weights = model.means, model.variances, model.weights
        everywhere = np.full((1, len(used)), self.everywhere)
        before = -math.inf
        for _ in range(_STEPS):
            apart = np.square(places - means[:, None]) / variances[:, None]
            normal = np.exp(-apart / 2) / np.sqrt(2 * math.pi * variances)[:, None]
            density = weights[:, None] * np.vstack([normal, everywhere])
            total = density.sum(axis=0) + 1e-300
            likelihood = float(counts @ np.log(total))
            if likelihood - before < _GAIN * self.total:
                break
            before = likelihood
            share = density * (counts / total)
            mass = share.sum(axis=1)
            weights = mass / self.total
            if weights[-1] < _NOISE:
                weights *= (1 - _NOISE) / (1 - weights[-1])
                weights[-1] = _NOISE
            of = np.maximum(mass[:-1], 1e-300)
            means = share[:-1] @ places / of
            squares = (share[:-1] * np.square(places - means[:, None])).sum(axis=1) / of
            variances = np.maximum(squares, np.interp(means, places, floor))
        return _Model(means, variances, weights, likelihood)

    def joined(self, model: _Model) -> list[list[int]]:
        """Which normal distributions are one peak: those without a dip of the mixture between them."""
        order = np.argsort(model.means)
        whole = self.density(model).sum(axis=0)
        heights = np.interp(model.means, self.places, whole)
        parts = [[int(order[0])]]
        for i in order[1:]:
            # Of a peak and its tails the highest: from a tail to the next peak there may be no dip.
            top = max(parts[-1], key=heights.__getitem__)
            between = (self.places >= model.means[top]) & (self.places <= model.means[i])
            lower = min(heights[top], heights[i])
            if whole[between].min(initial=lower) >= _DIP * lower:
                parts[-1].append(int(i))
            else:
                parts.append([int(i)])
        return parts


def _described(
    data: _Binned, model: _Model, parts: list[list[int]], positions: Floats, tried: Floats, reason: str
) -> PeakMixture:
    density = data.density(model)
    # What is the likeliest nowhere is no peak, but spread like what is everywhere.
    at = np.clip(np.searchsorted(data.edges, positions, side="right") - 1, 0, len(data.places) - 1)
    of_parts = np.vstack([*(density[part].sum(axis=0) for part in parts), density[-1]])
    used = np.unique(of_parts.argmax(axis=0)[at])
    lost = [part for i, part in enumerate(parts) if i not in used]
    parts = [part for i, part in enumerate(parts) if i in used]
    everywhere = density[-1] + sum((density[part].sum(axis=0) for part in lost), np.zeros_like(density[-1]))
    order = np.argsort([model.means[_main(model, part)] for part in parts], kind="stable")
    parts = [parts[i] for i in order]
    main = np.array([_main(model, part) for part in parts])
    weights = np.array([model.weights[part].sum() for part in parts])
    squares = [
        model.variances[part] + np.square(model.means[part] - model.means[i])
        for i, part in zip(main, parts, strict=True)
    ]
    variances = [
        float(model.weights[part] @ each) / max(float(model.weights[part].sum()), 1e-300)
        for part, each in zip(parts, squares, strict=True)
    ]
    of_parts = np.vstack([*(density[part].sum(axis=0) for part in parts), everywhere])
    likeliest = of_parts.argmax(axis=0)
    labels = np.where(likeliest == len(parts), -1, likeliest).astype(np.int32)
    counts = np.maximum(model.weights[main] * data.total, 1.0)
    return PeakMixture(
        energies=model.means[main],
        spreads=np.sqrt(variances),
        errors=np.sqrt(model.variances[main] / counts),
        weights=weights,
        labels=labels[at],
        bic=tried,
        reason=reason,
        density=of_parts,
        places=data.places,
    )


def _main(model: _Model, part: list[int]) -> int:
    """Which of the normal distributions of a peak is the highest: the others are its tails."""
    heights = model.weights[part] / np.sqrt(model.variances[part])
    return part[int(np.argmax(heights))]
