"""What factors leave unexplained, as users import it; made in `emcore.methods.nmf.residuals`."""

from emcore.methods.nmf.residuals import residuals

__all__ = ["residuals"]
