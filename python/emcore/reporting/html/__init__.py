"""How does one look into a result without Python? A page of its own, to point at and click, from a mail or a folder.

Everything is in the one file: maps, signals and tables of the result, the script that draws them, and, if it is given,
what was measured at every position, binned so that the page stays small. Nothing is fetched from anywhere.
"""

import html
import json
import os
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.files import as_path, new_file, write_whole
from emcore.core.signals import Axis, Signal
from emcore.reporting.html.measured import Measured, axis_in_page, binned, coarse, encoded, measured_of
from emcore.reporting.plotting.colors import component_color
from emcore.results.contents import Contents, Shown, contents, in_json

LARGEST = 28 << 20
"""Bytes of a page, about: what a mail takes."""
# Of base64, for three bytes; and the parts of a page that fields of a result and measured data may take.
_SPELLED, _FIELDS = 4 / 3, 0.5
_COLOURS = 21


def write_html(
    result: Any, path: str | os.PathLike[str], signal: Signal | None = None, overwrite: bool = False
) -> None:
    """Write a page that shows a result. See `emcore.results.result.Result.to_html`."""
    inside, record = contents(result), result.provenance
    mean = getattr(result, "mean", None)
    units = {axis.name: axis.units for axis in mean.axes} if isinstance(mean, Signal) else {}
    image = getattr(result, "image", None)
    scan = image.shape if isinstance(image, Signal) else None
    measured = None if signal is None else measured_of(signal, int(LARGEST * (1 - _FIELDS)), units, scan)
    head = (
        f"{type(result).__name__} of {record.input_name}",
        f"{record.method}, emcore {record.versions.get('emcore', '')}, {record.created}",
    )
    _write(as_path(path), head, inside, measured, [*_facts(inside), *_origin(record)], record.notes, overwrite)


def write_signal_html(signal: Signal, path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Write a page that shows a measurement: an image, or of a scan what was measured at each position, and their mean.

    Raises
    ------
    ValueError
        Neither an image nor a scan along one or two axes.
    FileExistsError
        If the file exists and `overwrite` is not set.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from emcore.datasets import eds_phases
    >>> from emcore.reporting.html import write_signal_html
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_signal_html(eds_phases(shape=(20, 30)).signal, f"{folder}/eds.html")
    ...     Path(folder, "eds.html").stat().st_size > 100_000
    True
    """
    units = str(signal.metadata.get("units") or "")
    if not any(axis.navigation for axis in signal.axes):
        if len(signal.axes) != 2:
            names = [axis.name for axis in signal.axes]
            raise ValueError(f"{signal.name} has axes {names}: an image or a scan is needed")
        image = Shown("image", signal.title or "image", units, np.asarray(signal.data)[None], signal.axes)
        inside, measured = Contents({}, [image], [], {}), None
    else:
        measured = measured_of(signal, int(LARGEST * (1 - _FIELDS)), {})
        sums = Shown("sum", "sum of the signal", units, measured.sums[None], measured.scan)
        mean = Shown("mean", "mean of all positions", units, measured.mean[None], measured.whole)
        inside = Contents({}, [sums], [mean], {})
    facts = [(f"axis {axis.name}", _described(axis)) for axis in signal.axes]
    facts += [("values", str(signal.dtype)), *_leaves(signal.metadata)]
    _write(as_path(path), (signal.name, signal.title), inside, measured, facts, signal.notes, overwrite)


def _leaves(known: dict[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """What is known, as it is named: "TEM beam energy", for one."""
    for key, value in known.items():
        outer = key in ("instrument", "Acquisition_instrument")
        name = within if outer else f"{within} {key.replace('_', ' ')}".strip()
        if isinstance(value, dict):
            yield from _leaves(value, name)
        elif value not in ("", []):
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _described(axis: Axis) -> str:
    first, last = axis.values[[0, -1]]
    along = f"{axis.size} points, from {first:.6g} to {last:.6g} {axis.units}"
    return f"{along}, navigation" if axis.navigation else along


def _write(
    path: Path,
    head: tuple[str, str],
    inside: Contents,
    measured: Measured | None,
    facts: list[tuple[str, str]],
    notes: Sequence[str],
    overwrite: bool,
) -> None:
    said = list(notes)
    fields = _small(inside, int(LARGEST * _FIELDS if measured is not None else LARGEST), said)
    if measured is not None:
        said += measured.notes
    page = {
        "title": head[0],
        "subtitle": head[1],
        "stem": Path(head[0].rpartition(" of ")[2]).stem or "result",
        "group": next((shown.counts for shown in inside.maps if shown.labels), ""),
        "maps": fields["maps"],
        "signals": fields["signals"],
        "tables": [_table(of, columns) for of, columns in inside.tables.items()],
        "measured": None if measured is None else measured.in_page(),
        "colours": [[round(255 * channel) for channel in component_color(i)] for i in range(_COLOURS)],
        "facts": [*facts, *(("note", note) for note in said)],
    }
    text = files("emcore.reporting.html").joinpath("page.html").read_text(encoding="utf-8")
    script = files("emcore.reporting.html").joinpath("page.js").read_text(encoding="utf-8")
    # No text of a file may end the element that it stands in.
    data = json.dumps(page, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {"title": html.escape(head[0]), "script": script, "data": data}
    text = re.sub("@(title|script|data)@", lambda match: parts[match[1]], text)
    with new_file(path, overwrite) as part:
        write_whole(part, text.encode())


def _facts(inside: Contents) -> Iterator[tuple[str, str]]:
    for name, value in inside.facts.items():
        few = value if isinstance(value, tuple) else (value,)
        texts = (f"{each:.4g}" if isinstance(each, float | np.floating) else str(each) for each in few)
        yield name.replace("_", " "), ", ".join(texts)


def _origin(record: Any) -> Iterator[tuple[str, str]]:
    yield "parameters", ", ".join(f"{name}={value!r}" for name, value in record.parameters.items())
    yield "input", f"{record.input_name}, SHA-256 {record.input_sha256}"
    yield "versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())
    yield "time", f"{record.elapsed:.2f} s, {record.threads} threads"


def _table(of: str, columns: dict[str, NDArray[Any]]) -> dict[str, Any]:
    rows = len(next(iter(columns.values())))
    return {"of": of, "rows": rows, "columns": {name: in_json(values) for name, values in columns.items()}}


def _small(inside: Contents, budget: int, notes: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Maps and signals as they stand in a page, binned by the least whole number with which all of them fit."""
    both = {"maps": inside.maps, "signals": inside.signals}
    factors = {id(shown): 1 for each in both.values() for shown in each}

    def size(shown: Shown) -> float:
        return _SPELLED * 4 * shown.values.size / float(factors[id(shown)] ** len(shown.axes))

    everything = [*inside.maps, *inside.signals]
    while sum(map(size, everything)) > budget:
        largest = max(everything, key=size)
        if factors[id(largest)] >= max(axis.size for axis in largest.axes):
            break
        factors[id(largest)] += 1
    for shown in everything:
        if factors[id(shown)] > 1:
            notes.append(f"{shown.title}: binned {factors[id(shown)]}-fold along each axis, for this page only")
    return {name: [_field(shown, factors[id(shown)]) for shown in each] for name, each in both.items()}


def _field(shown: Shown, factor: int) -> dict[str, Any]:
    values, axes = shown.values, shown.axes
    if factor > 1:
        every = (slice(None), *(slice(None, None, factor),) * len(axes))
        values = values[every] if shown.labels else binned(values, factor)
        axes = tuple(coarse(axis, factor, size) for axis, size in zip(axes, values.shape[1:], strict=True))
    kind = np.int32 if shown.labels else np.float32
    return {
        "name": shown.name,
        "title": shown.title,
        "units": shown.units,
        "of": shown.of,
        "labels": shown.labels,
        "n": len(values),
        "shape": values.shape[1:],
        "axes": [axis_in_page(axis) for axis in axes],
        **encoded(values.astype(kind)),
    }
