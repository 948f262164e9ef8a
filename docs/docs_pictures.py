"""Figures, pages and measured files in pages that are executed when they are built."""

import base64
import contextlib
import html
import os
import tempfile
import textwrap
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

RESOLUTION = 70
"""Pixels to an inch."""
MEASURED = Path(os.environ.get("EMCORE_TEST_DATA", Path(__file__).parents[2] / "shared/data"))
"""Where measured files lie, if they are at hand; none is part of the project."""


def trimmed(figure: Any, resolution: int = RESOLUTION, margin: int = 6) -> Image.Image:
    """A figure as a picture, without the white around it."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=resolution)
    whole = Image.open(drawn).convert("RGB")
    left, top, right, bottom = ImageOps.invert(whole).getbbox() or (0, 0, *whole.size)
    right, bottom = min(right + margin, whole.width), min(bottom + margin, whole.height)
    return whole.crop((max(left - margin, 0), max(top - margin, 0), right, bottom))


def picture(figure: Any) -> str:
    """A figure as an element of a page."""
    whole = BytesIO()
    trimmed(figure).save(whole, format="png", optimize=True)
    return f'<img alt="what plot() draws" src="data:image/png;base64,{base64.b64encode(whole.getvalue()).decode()}">'


def page(result: Any) -> str:
    """The page for a browser that a result writes, inside a page."""
    with tempfile.TemporaryDirectory() as folder:
        text = result.to_html(Path(folder) / "page.html").read_text()
    return f'<iframe title="the page" style="width: 100%; height: 44rem" srcdoc="{html.escape(text)}"></iframe>'


def on_file(name: str, lines: str) -> str:
    """Lines that read a measured file, what they print, and a picture of their `result`; the lines alone without it."""
    lines = textwrap.dedent(lines).strip()
    parts = [f"```python\n{lines}\n```"]
    if not (MEASURED / name).exists():
        return "\n\n".join([*parts, f"*Not run: `{name}` was not at hand when this page was built.*"])
    scope: dict[str, Any] = {}
    with contextlib.chdir((MEASURED / name).parent), contextlib.redirect_stdout(StringIO()) as printed:
        exec(lines, scope)
    if printed.getvalue():
        parts.append(f"```text\n{printed.getvalue().rstrip()}\n```")
    return "\n\n".join([*parts, picture(scope["result"].plot())])
