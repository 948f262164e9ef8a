"""Direct beam, virtual detectors and mean patterns, as users import them; made in
`emcore.scans.detectors`."""

import sys

from emcore.core.signatures import readable
from emcore.scans.detectors import Beam, annulus, disc, find_beam, masked_beam, pacbed, sum_by_label, virtual_images

__all__ = ["Beam", "annulus", "disc", "find_beam", "masked_beam", "pacbed", "sum_by_label", "virtual_images"]

readable(sys.modules[__name__])
