"""Figures in pages that are executed when they are built."""

import base64
from io import BytesIO
from typing import Any

RESOLUTION = 70
"""Pixels to an inch."""


def picture(figure: Any) -> str:
    """A figure as an element of a page."""
    whole = BytesIO()
    figure.savefig(whole, format="png", dpi=RESOLUTION)
    return f'<img alt="what plot() draws" src="data:image/png;base64,{base64.b64encode(whole.getvalue()).decode()}">'
