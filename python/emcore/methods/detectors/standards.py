"""The virtual detectors that are in use, with radii in terms of the direct beam's."""

from typing import NamedTuple

# The hole of an annular bright field, and that of a high-angle dark field, in radii of the beam: half of it, where the
# beam is so many pixels wide that this parts it, and three of it, beyond which coherent scattering is weak.
_ABF, _LEAST, _HAADF = 0.5, 3.0, 3.0


class Annulus(NamedTuple):
    """A virtual detector: what is farther than `inner` from the beam, of a disc 0, and at most `outer`, in pixels."""

    name: str
    inner: float
    outer: float


def standard_detectors(radius: float, reach: float, outermost: float) -> list[Annulus]:
    """
    Bright field, annular bright field, annular dark field and high-angle annular dark field.

    Parameters
    ----------
    radius : float
        Of the direct beam's disc.
    reach : float
        Radius from which on nothing of the beam is left.
    outermost : float
        Radius up to which the detector reaches.

    Returns
    -------
    list of Annulus
        Those that the detector has room for.

    Examples
    --------
    >>> for each in standard_detectors(8.0, 10.0, 32.0):
    ...     print(*each)
    bright field 0.0 8.0
    annular bright field 4.0 8.0
    annular dark field 10.0 32.0
    high-angle annular dark field 24.0 32.0
    """
    wanted = [Annulus("bright field", 0.0, radius)]
    if radius >= _LEAST:
        wanted.append(Annulus("annular bright field", _ABF * radius, radius))
    wanted.append(Annulus("annular dark field", reach, outermost))
    wanted.append(Annulus("high-angle annular dark field", max(_HAADF * radius, reach), outermost))
    return [each for each in wanted if each.inner + 1 <= each.outer]
