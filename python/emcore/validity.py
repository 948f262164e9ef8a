"""How valid fuzzy clusters are; made in `emcore.methods.fuzzy.validity`."""

import sys

from emcore.core.signatures import readable
from emcore.methods.fuzzy.validity import Validity, fuzzy_validity

__all__ = ["Validity", "fuzzy_validity"]

readable(sys.modules[__name__])
