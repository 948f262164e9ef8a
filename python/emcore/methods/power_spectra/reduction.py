"""What is kept of each window's spectrum, of an image or a volume."""

from typing import Any

from emcore.core.validation import check_count, check_option
from emcore.methods.power_spectra.settings import Reduction

# The largest degree of spherical harmonics that the kernel has.
_LARGEST_DEGREE = 20
_OF_IMAGES, _OF_VOLUMES = ("radial", "crop", "bin"), ("harmonics", "degrees")


def checked_reduction(reduce: Any, window: int, *, volume: bool = False) -> Reduction:
    """
    What a kernel takes of what a user gave as `reduce`.

    Parameters
    ----------
    reduce : None, "radial", ("crop", r), ("bin", b) or, of a volume, ("harmonics", L) or ("degrees", L)
    window : int
        Side of the windows.
    volume : bool, default False

    Raises
    ------
    ValueError
        What is not known, or a size that does not suit the window.
    TypeError
        A size that is no whole number.

    Examples
    --------
    >>> checked_reduction(None, 8), checked_reduction(["crop", 3], 8), checked_reduction(("degrees", 6), 8, volume=True)
    ('none', ('crop', 3), ('degrees', 6))
    """
    if reduce is None:
        return "none"
    kind, sizes = (reduce[0], reduce[1:]) if isinstance(reduce, tuple | list) and reduce else (reduce, ())
    check_option(kind, (*_OF_IMAGES, *_OF_VOLUMES) if volume else _OF_IMAGES, "reduce")
    if kind == "radial":
        if sizes:
            raise ValueError(f'reduce={reduce!r} is not known; give "radial" alone')
        return "radial"
    if len(sizes) != 1:
        raise ValueError(f"reduce={reduce!r} has no size; give a pair such as ({kind!r}, 4)")
    if kind == "crop":
        return kind, check_count(sizes[0], "reduce: crop radius", 1, (window - 1) // 2, f"window {window}")
    if kind == "bin":
        b = check_count(sizes[0], "reduce: bin size", 1, window)
        if window % b:
            divisors = ", ".join(str(d) for d in range(1, window + 1) if window % d == 0)
            raise ValueError(f"reduce={reduce!r}: {b} does not divide window={window}; give one of {divisors}")
        return kind, b
    degree = check_count(sizes[0], "reduce: degree", 0, _LARGEST_DEGREE)
    if degree % 2:
        raise ValueError(f"reduce={reduce!r}: spectra of real volumes have even degrees only; give {degree + 1}")
    return kind, degree
