"""What is in a result, for whoever shows it or takes it away: facts, maps, signals and tables, from its fields alone.

A field whose last axes are those of the picture is a map, or one for each of what its first axis counts; one whose last
axes lie inside a measurement is a signal, or one for each; fields of one number for each component, cluster or grain
are the columns of a table.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis, Signal
from emcore.core.wording import several
from emcore.results.fields import array_fields, field_text

FORMATS: dict[str, tuple[str, ...]] = {
    "maps": ("tif", "png", "ome-zarr"),
    "tables": ("csv",),
    "spectra": ("csv", "msa", "tif"),
    "figures": ("pdf", "png", "svg"),
}
"""What can be taken away, and in which formats."""


@dataclasses.dataclass(frozen=True, eq=False)
class Shown:
    """A field to look at.

    Attributes
    ----------
    name, title, units : str
        Of the field, in words, and of its values.
    values : ndarray, shape (n, ...)
        One map or signal after another; maps are (n, y, x).
    axes : tuple of Axis
        Those of one map or signal.
    of : str
        What there is one of each for ("component", "grain"); "" where there is one.
    labels : bool
        Whether the values of a map are numbers of regions, clusters or grains; negative where there is none.
    counts : str
        What the labels of such a map count ("grain").
    """

    name: str
    title: str
    units: str
    values: NDArray[Any]
    axes: tuple[Axis, ...]
    of: str = ""
    labels: bool = False
    counts: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
    """What is in a result.

    Attributes
    ----------
    facts : dict of str to (str, int or float)
        Numbers and texts, by the names of their fields.
    maps, signals : list of Shown
        Those that a viewer shows first come first.
    tables : dict of str to dict of str to ndarray
        For each thing that is counted ("grain") its columns, of one length each, by heads with units.
    """

    facts: dict[str, Any]
    maps: list[Shown]
    signals: list[Shown]
    tables: dict[str, dict[str, NDArray[Any]]]


def contents(result: Any) -> Contents:
    """What is in a result.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import eds_phases
    >>> from emcore.results.contents import contents
    >>> inside = contents(emcore.unmix(eds_phases(shape=(30, 30)).signal))
    >>> [shown.name for shown in inside.maps], [shown.name for shown in inside.signals]
    (['maps', 'residual_map', 'measured', 'image'], ['spectra', 'residual_spectrum', 'mean'])
    >>> list(inside.tables["component"])
    ['fraction of the counts']
    """
    found = Contents(_facts(result), [], [], {})
    plane = _plane(result)
    fields = {f.name: f for f in dataclasses.fields(result)}
    for name, axes, inside in array_fields(result):
        of_field = (
            name,
            field_text(result, name, "long_name") or name.replace("_", " "),
            field_text(result, name, "units"),
        )
        values = getattr(result, name)
        known = fields[name].metadata
        labels = _counted(known) if known.get("labels", values.dtype.kind == "i") else None
        _put(found, of_field, values, axes, inside, plane, labels)
    for name in fields:
        value = getattr(result, name)
        several = value if isinstance(value, tuple) else (value,)
        for number, signal in enumerate(several):
            if isinstance(signal, Signal):
                whole = f"{name}_{number}" if isinstance(value, tuple) else name
                inside = sum(not axis.navigation for axis in signal.axes)
                titled = whole, signal.title or whole.replace("_", " "), str(signal.metadata.get("units") or "")
                labels = _counted(fields[name].metadata) if fields[name].metadata.get("labels") else None
                _put(found, titled, np.asarray(signal.data), signal.axes, inside, plane, labels)
    first = {each for name, known in fields.items() if known.metadata.get("default") for each in (name, f"{name}_0")}
    if not any(shown.name in first for shown in found.maps):
        first = {"image"}
    found.maps.sort(key=lambda shown: shown.name not in first)
    return found


def _counted(metadata: Mapping[str, Any]) -> str:
    return str(metadata.get("counts", "group"))


def in_words(result: Any) -> str:
    """A result in a few lines.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import bent_polycrystal
    >>> print(emcore.cluster_diffraction(bent_polycrystal((24, 32), (32, 32), n_grains=4).patterns, 4))
    Clustering of bent grains, by cluster_diffraction
      n_clusters   4
      rule         given
      reason       n_clusters=4 was asked for
      maps         labels, sum of every pattern (24 × 32)
      signals      signals (4 × 32 × 32), PACBED (32 × 32)
      of clusters  fraction of the area
    """
    inside, record = contents(result), result.provenance
    shown = {
        name: f"{value:.4g}" if isinstance(value, float) else str(value)
        for name, value in inside.facts.items()
        if name.startswith("n_") or name in ("rule", "reason")
    }
    if inside.maps:
        sizes = " × ".join(map(str, inside.maps[0].values.shape[1:]))
        shown["maps"] = f"{', '.join(each.title for each in inside.maps)} ({sizes})"
    if inside.signals:
        named = (f"{each.title} ({' × '.join(map(str, _shape(each)))})" for each in inside.signals)
        shown["signals"] = ", ".join(named)
    shown |= {f"of {several(of)}": ", ".join(columns) for of, columns in inside.tables.items()}
    shown = {name: value for name, value in shown.items() if (name, value) != ("n_empty", "0")}
    broad = max(map(len, shown), default=0)
    lines = [f"  {name.ljust(broad)}  {_cut(value)}" for name, value in shown.items()]
    return "\n".join([f"{type(result).__name__} of {record.input_name}, by {record.method}", *lines])


def _shape(shown: Shown) -> tuple[int, ...]:
    return shown.values.shape if shown.of else shown.values.shape[1:]


def _cut(text: str, most: int = 100) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def in_json(value: Any) -> Any:
    """Numbers, texts, and lists of them, as JSON has them: what is not finite is None.

    Examples
    --------
    >>> import numpy as np
    >>> in_json(np.array([1.5, np.nan]))
    [1.5, None]
    """
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    if isinstance(value, list | tuple):
        return [in_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _facts(result: Any) -> dict[str, Any]:
    """Fields that are a number, a text, or a few of them."""
    facts = {}
    for f in dataclasses.fields(result):
        value = getattr(result, f.name)
        plain = isinstance(value, bool | int | float | str | np.generic)
        few = isinstance(value, tuple) and 0 < len(value) <= 4 and all(isinstance(each, int | float) for each in value)
        if (plain and value != "") or few:
            facts[f.name] = value
    return facts


def _plane(result: Any) -> tuple[str, ...]:
    image = getattr(result, "image", None)
    return tuple(axis.name for axis in image.axes[-2:]) if isinstance(image, Signal) else ()


def _put(
    found: Contents,
    of_field: tuple[str, str, str],
    values: NDArray[Any],
    axes: tuple[Axis, ...],
    inside: int,
    plane: tuple[str, ...],
    labels: str | None,
) -> None:
    """A field where it belongs; what is neither a map, a signal nor a column is left out.

    A map of labels says what these count.
    """
    name, title, units = of_field
    if values.dtype.kind not in "biuf" or not values.size:
        return
    names = tuple(axis.name for axis in axes)
    if names[-2:] in (plane, ("y", "x")) and len(names) >= 2:
        shape = values.shape[-2:]
        of = " and ".join(names[:-2])
        maps = values.reshape(-1, *shape), axes[-2:], of, labels is not None, labels or ""
        found.maps.append(Shown(name, title, units, *maps))
    elif len(plane) == 1 and names[-1:] == plane:
        line = Axis("", 1, navigation=True), axes[-1]
        of = " and ".join(names[:-1])
        maps = values.reshape(-1, 1, values.shape[-1]), line, of, labels is not None, labels or ""
        found.maps.append(Shown(name, title, units, *maps))
    elif (
        inside in (1, 2)
        and values.ndim - inside in (0, 1)
        and axes[-1].size > 1
        and not (values.ndim == 1 and _counts(axes[0]))
    ):
        shape = values.shape[values.ndim - inside :]
        of = names[0] if values.ndim > inside else ""
        found.signals.append(Shown(name, title, units, values.reshape(-1, *shape), axes[-inside:], of))
    elif values.ndim == 1:
        found.tables.setdefault(names[0], {})[f"{title} ({units})" if units else title] = values


def _counts(axis: Axis) -> bool:
    """Whether an axis only counts."""
    return not axis.calibrated and (axis.scale, axis.offset, axis.points) == (1.0, 0.0, None)
