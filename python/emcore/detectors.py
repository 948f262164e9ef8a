"""Direct beam, virtual detectors and mean patterns, as users import them; made in `emcore.scans.detectors`."""

from emcore.scans.detectors import Beam, annulus, disc, find_beam, masked_beam, pacbed, sum_by_label, virtual_images

__all__ = ["Beam", "annulus", "disc", "find_beam", "masked_beam", "pacbed", "sum_by_label", "virtual_images"]
