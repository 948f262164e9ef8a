"""Does a mean pattern have reflections, or is there vacuum or amorphous material?

Around the direct beam, rings of equal angle are even where there is no crystal: what lies above the median of its ring
by more than noise, over the size of a spot, is a reflection. Of patterns without any, those are of vacuum that have
next to nothing beside the beam.
"""

import numpy as np
from numpy.typing import NDArray

CRYSTAL, AMORPHOUS, VACUUM = "crystal", "amorphous", "vacuum"

# A pixel is of a reflection that is above the median of its ring by so many deviations, and by this part of it.
_DEVIATIONS, _PART = 6.0, 0.3
# Least part of what is beside the beam that is in reflections. Vacuum has less than this part of what others have
# beside the beam; what is left of a beam that moves may be uneven.
_LEAST, _MOST, _REST = 0.003, 0.2, 0.2
# Reflections would be seen if they had this part of what is beside the beam.
_SEEN = 0.1
# Pixels of a ring of which a median is taken.
_RING = 12
# Pixels of patterns that are looked at together.
_TOGETHER = 1 << 21


def kinds_of(
    signals: NDArray[np.float64],
    size: NDArray[np.int64],
    used: NDArray[np.bool_],
    center: tuple[float, float] | None,
    radius: float | None,
    counts: bool,
) -> tuple[str, ...]:
    """What each mean pattern is of.

    Parameters
    ----------
    signals : ndarray, shape (k, ky, kx)
        Mean patterns.
    size : ndarray, shape (k,)
        Positions of each.
    used : ndarray of bool, shape (ky, kx)
        Pixels outside the beam that are not broken.
    center : (float, float), optional
        Of the direct beam; without it all are crystals as far as can be said.
    radius : float, optional
        Of the mask over the beam; spots are about half as wide.
    counts : bool
        Whether values count electrons, so that noise is no less than that of counting.

    Returns
    -------
    tuple of str
        "crystal", "amorphous" or "vacuum". Crystal too where counts are so few that reflections would not be seen.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.scans.reflections import kinds_of
    >>> ky, kx = np.indices((32, 32))
    >>> radius = np.hypot(ky - 16, kx - 16)
    >>> halo, nothing = 5 * np.exp(-0.5 * (radius - 8) ** 2) + 1, np.full((32, 32), 0.01)
    >>> spots = halo + 50 * (np.hypot(ky - 16, abs(kx - 16) - 9) < 2)
    >>> kinds_of(np.stack([spots, halo, nothing]), np.array([50, 50, 50]), radius > 3, (16, 16), 4, True)
    ('crystal', 'amorphous', 'vacuum')
    """
    if center is None or radius is None or not used.any():
        return (CRYSTAL,) * len(signals)
    from scipy import ndimage

    side = 2 * int(0.25 * radius) + 1
    weight = ndimage.uniform_filter(used.astype(np.float32), side, mode="constant")
    y, x = np.indices(used.shape)
    rings = np.rint(np.hypot(y - center[0], x - center[1])).astype(np.intp)
    members = [np.flatnonzero((rings.ravel() == ring) & used.ravel()) for ring in range(int(rings.max()) + 1)]
    members = [places for places in members if len(places) >= _RING]
    parts, totals, faint = (np.zeros(len(signals)) for _ in range(3))
    step = max(_TOGETHER // used.size, 1)
    for start in range(0, len(signals), step):
        some = slice(start, start + step)
        low = np.minimum(signals[some].min(axis=(1, 2), keepdims=True), 0.0)
        values = np.where(used, signals[some] - low, 0.0).astype(np.float32)
        smooth = ndimage.uniform_filter(values, (0, side, side), mode="constant") / np.maximum(weight, 1e-6)
        smooth = smooth.reshape(len(smooth), -1)
        for places in members:
            ring = smooth[:, places]
            middle = np.median(ring, axis=1)
            above = ring - middle[:, None]
            deviation = 1.4826 * np.median(np.abs(above), axis=1)
            if counts:
                mean = np.maximum(middle, np.maximum(1e-3 * ring.mean(axis=1), 0.0))
                deviation = np.maximum(deviation, np.sqrt(mean / size[some]) / side)
            least = np.maximum(_DEVIATIONS * deviation, _PART * middle)
            parts[some] += np.where(above > least[:, None], above, 0.0).sum(axis=1)
            totals[some] += ring.sum(axis=1)
            faint[some] += _DEVIATIONS * deviation * len(places)
    parts = np.divide(parts, totals, out=np.zeros_like(parts), where=totals > 0)
    # What spots would have that cover a tenth of the detector and are just not seen.
    seen = 0.1 * faint < _SEEN * totals
    typical = float(np.median(totals))
    return tuple(
        VACUUM if total < _MOST * typical and part < _REST else AMORPHOUS if part < _LEAST and sure else CRYSTAL
        for part, total, sure in zip(parts, totals, seen, strict=True)
    )
