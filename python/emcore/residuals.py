"""What factors leave unexplained, as users import it; made in
`emcore.methods.nmf.residuals`."""

import sys

from emcore.core.signatures import readable
from emcore.methods.nmf.residuals import residuals

__all__ = ["residuals"]

readable(sys.modules[__name__])
