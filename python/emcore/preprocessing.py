"""Data made ready for clustering without a copy, as users import it; made in
`emcore.methods.preprocessing`."""

import sys

from emcore.core.signatures import readable
from emcore.methods.preprocessing import NORMALIZATIONS, Recipe, mean_and_variance, prepare, quantiles

__all__ = ["NORMALIZATIONS", "Recipe", "mean_and_variance", "prepare", "quantiles"]

readable(sys.modules[__name__])
