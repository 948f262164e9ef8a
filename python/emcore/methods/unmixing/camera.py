"""How many components do a camera's values have? Those above their noise that halves of the scan share."""

import numpy as np

from emcore.core.wording import count_of
from emcore.methods.pca.fit import pca
from emcore.methods.preprocessing import sums_of
from emcore.methods.selection.components import n_components as rank_by_rule
from emcore.methods.selection.measured_noise import MeasuredNoise
from emcore.methods.selection.rules import RankChoice
from emcore.methods.selection.split_halves import count_shared_by_positions, weighted_rows
from emcore.methods.unmixing.bins import Bins
from emcore.methods.unmixing.endmembers import MOST
from emcore.methods.unmixing.weights import channel_weights


def choose_by_positions(bins: Bins, noise: MeasuredNoise) -> RankChoice:
    """
    How many components values with a measured gain have.

    Parameters
    ----------
    bins : Bins
        Of so many channels that their noise is white.
    noise : MeasuredNoise

    Returns
    -------
    RankChoice
        Of the components above the noise those that every other position, as on a chessboard, and the rest share.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.methods.selection.measured_noise import MeasuredNoise
    >>> from emcore.methods.unmixing.bins import Bins
    >>> from emcore.methods.unmixing.camera import choose_by_positions
    >>> rng = np.random.default_rng(0)
    >>> spectra = np.repeat(np.eye(2), 30, axis=1) + 0.1
    >>> values = 5.0 * rng.poisson(400 * rng.dirichlet([0.4, 0.4], (12, 15)) @ spectra)
    >>> bins = Bins(values.astype(np.float32), 1, 1, np.arange(180))
    >>> choose_by_positions(bins, MeasuredNoise(5.0, 0.0, 1, 5.0, True, 40.0)).n
    2
    """
    counts, sums = sums_of(bins.rows)
    taken = np.flatnonzero(counts > 0)
    constant = noise.bin * noise.read**2 / noise.gain * bins.positions
    scale = np.sqrt(channel_weights(sums, counts[taken], False, constant)) * (sums > 0)
    weighted = weighted_rows(bins.rows, scale, taken)
    shape = len(taken), int(np.count_nonzero(sums))
    evr = pca(weighted, min(MOST, *shape), center=False).explained_variance_ratio
    choice = rank_by_rule(evr, "gavish-donoho", shape=shape, total_counts=max(float(sums.sum()) / noise.gain_of_bin, 1))
    reason = f"{choice.reason}, at the measured gain of {noise.gain:.3g}"
    if choice.n < 2:
        return RankChoice(choice.n, choice.rule, reason)
    y, x = np.indices(bins.sums.shape[:2])
    odd = ((y + x) % 2 == 1).ravel()[taken]
    halves = taken[~odd], taken[odd]
    if min(map(len, halves)) < 2:
        return RankChoice(1, "split-halves", f"{count_of(len(taken), 'position')} cannot be split in halves")
    shared = count_shared_by_positions(bins.rows, scale, *halves, choice.n)
    if shared == choice.n:
        return RankChoice(shared, choice.rule, f"{reason}, shared by both halves of the positions")
    return RankChoice(shared, "split-halves", f"{reason}; both halves of the positions share {shared}")
