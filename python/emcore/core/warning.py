"""Warnings that name the user's line: the one that called the package, by whichever function that was."""

import sys
import warnings

# scikit-learn wraps the methods of estimators in functions of its own.
_SKIPPED = frozenset({"emcore", "sklearn"})


def warn(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warn of something the caller of the package should know.

    Parameters
    ----------
    message : str
    category : type of Warning, default RuntimeWarning

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("the last chunk is empty")
    >>> str(caught[0].message), caught[0].category.__name__
    ('the last chunk is empty', 'RuntimeWarning')
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _SKIPPED:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
