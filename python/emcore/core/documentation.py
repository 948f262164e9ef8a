"""Paragraphs that several docstrings share, written once and filled in where a docstring names them.

A line ``%(memory)s`` of a docstring becomes the paragraph of that name, indented as the line is, when the module is
imported: `help`, documentation and doctests see the whole text.
"""

import re
from collections.abc import Callable
from typing import TypeVar

Documented = TypeVar("Documented")

PARAGRAPHS = {
    "memory": """\
memory : int or str, optional
    For data out of core (a memory map, an HDF5 or Zarr array, a lazy signal, a Dask
    array): how much may be used, in bytes or as "2 GiB"; default 1 GiB. They are
    visited in blocks; the result is that of memory.""",
    "checkpoint": """\
checkpoint : path, optional
    Where a fit saves its state after each full pass; a job that was killed goes on from
    there, if version, settings and data are the same: all data are read once before,
    for their hash. What had ended is read back without a pass.""",
    "random_state": """\
random_state : int, RandomState or None
    For random starts; None stands for 0, so that results can be repeated.""",
    "scan_shape": """\
scan_shape : (int, int), optional
    Lines of the scan and positions in each, where the data do not say.""",
    "signal_axis": """\
signal_axis : int or str, optional
    Number or name of the axis along which the signal lies, in place of what the axes'
    units, names and flags say.""",
    "pattern_axes": """\
signal_axis : (int or str, int or str), optional
    Numbers or names of the two axes of a pattern, in place of what the axes' units,
    names and flags say.""",
    "dataset": """\
dataset : str or int, optional
    Which data set of a file that holds several, by name or number as `emcore.describe`
    lists them. By default the largest that suits, and the result says which.""",
    "empty_patterns": """\
The same to the last bit on any number of threads. Patterns that are one value
throughout, zero or another, and those with NaN or infinity, are no measurement: they
take no part, and their label is -1.""",
    "mask_beam": """\
mask_beam : bool, default True
    Leave the direct beam out. Its centre and radius are found in the mean pattern;
    where no bright disc stands out, nothing is masked, which the result says.
beam_radius : float, optional
    Radius of the mask in detector pixels, in place of the one found.""",
    "features": """\
n_features_in_, feature_names_in_
    As scikit-learn sets them.""",
}

_PLACE = re.compile(r"%\((\w+)\)s")


def documented(**paragraphs: str) -> Callable[[Documented], Documented]:
    """Fill in the paragraphs that the docstring of a function or class names: those of `PARAGRAPHS`, and these.

    Examples
    --------
    >>> @documented(unit="nanometres")
    ... def width(memory=None):
    ...     '''In %(unit)s.
    ...
    ...     %(memory)s
    ...     '''
    >>> print(width.__doc__[:39])
    In nanometres.
    <BLANKLINE>
        memory : int or str
    """
    texts = PARAGRAPHS | paragraphs

    def fill(match: re.Match[str]) -> str:
        line = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()]
        indent = line[: len(line) - len(line.lstrip())]
        return texts[match[1]].replace("\n", f"\n{indent}")

    def decorate(documented: Documented) -> Documented:
        if documented.__doc__:  # python -OO leaves none
            documented.__doc__ = _PLACE.sub(fill, documented.__doc__)
        return documented

    return decorate
