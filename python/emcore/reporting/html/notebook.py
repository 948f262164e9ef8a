"""What a notebook shows of a result: what it is, how many, a table of what was found, thumbnails of its maps."""

import base64
import html
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.wording import number
from emcore.reporting.plotting.colors import component_color
from emcore.results.contents import Shown, contents

# Pixels of a thumbnail's longer side; how many there are, and rows of a table.
_SIDE, _THUMBNAILS, _ROWS = 128, 8, 10
_NONE = (225, 225, 228)


def in_notebook(result: Any) -> str:
    """HTML of a result for a notebook.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import eds_phases
    >>> from emcore.reporting.html.notebook import in_notebook
    >>> text = in_notebook(emcore.unmix(eds_phases(shape=(30, 30)).signal))
    >>> "Unmixing" in text, text.count("data:image/png"), len(text) < 200_000
    (True, 6, True)
    """
    inside, record = contents(result), result.provenance
    head = f"{type(result).__name__} of {record.input_name}"
    parts = [f"<div><b>{html.escape(head)}</b> &middot; {html.escape(record.method)}, {record.elapsed:.2f} s"]
    if "reason" in inside.facts:
        parts.append(f"<div>{html.escape(str(inside.facts['reason']))}</div>")
    parts += [_table(of, columns) for of, columns in inside.tables.items() if of not in ("rank", "ring", "joining")]
    pictures = [picture for shown in inside.maps for picture in _pictures(shown)]
    parts.append('<div style="display:flex;flex-wrap:wrap;gap:8px">')
    parts += [
        f'<figure style="margin:0"><img src="{_address(pixels)}" alt="{html.escape(name)}" style="image-rendering:'
        f'pixelated;{"height" if pixels.shape[0] > pixels.shape[1] else "width"}:{_SIDE}px">'
        f'<figcaption style="font-size:85%">{html.escape(name)}</figcaption></figure>'
        for name, pixels in pictures[:_THUMBNAILS]
    ]
    parts.append("</div>")
    if len(pictures) > _THUMBNAILS:
        parts.append(f"<div>and {len(pictures) - _THUMBNAILS} more maps: <code>result.to_html(path)</code></div>")
    parts += [f"<div>note: {html.escape(note)}</div>" for note in record.notes]
    return "".join([*parts, "</div>"])


def _table(of: str, columns: dict[str, NDArray[Any]]) -> str:
    count = len(next(iter(columns.values())))
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in (of, *columns))
    rows = "".join(
        f"<tr><td>{row + 1}</td>" + "".join(f"<td>{_cell(values[row])}</td>" for values in columns.values()) + "</tr>"
        for row in range(min(count, _ROWS))
    )
    rest = f"<tr><td colspan={len(columns) + 1}>and {count - _ROWS} more</td></tr>" if count > _ROWS else ""
    return f"<table><tr>{heads}</tr>{rows}{rest}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return number(float(value)) if math.isfinite(value) else "&ndash;"
    return html.escape(str(value))


def _pictures(shown: Shown) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for i, values in enumerate(shown.values):
        name = f"{shown.title}, {shown.of} {i + 1}" if len(shown.values) > 1 else shown.title
        step = max(-(-max(values.shape) // _SIDE), 1)
        yield name, coloured(values[::step, ::step], shown.labels)


def coloured(values: NDArray[Any], labels: bool) -> NDArray[np.uint8]:
    """Labels in the colours that they have everywhere, values in grey from their 0.5th to their 99.5th percentile."""
    if labels:
        most = max(int(values.max()), 0)
        colours = np.array([*(component_color(i) for i in range(most + 1))]) * 255
        return np.where((values < 0)[..., None], _NONE, colours[np.maximum(values, 0)]).astype(np.uint8)
    values = values.astype(np.float64)
    there = np.isfinite(values)
    low, high = np.percentile(values[there], (0.5, 99.5)) if there.any() else (0.0, 1.0)
    grey = 255 * np.clip((np.where(there, values, low) - low) / (high - low if high > low else 1.0), 0, 1)
    return np.where(there[..., None], grey[..., None], _NONE).astype(np.uint8)


def _address(pixels: NDArray[np.uint8]) -> str:
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A picture of shape (y, x, 3), in red, green and blue, as a PNG file.

    Examples
    --------
    >>> import numpy as np
    >>> from emcore.reporting.html.notebook import png
    >>> png(np.zeros((2, 3, 3), np.uint8))[:4]
    b'\\x89PNG'
    """
    height, width = pixels.shape[:2]
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1).tobytes()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
