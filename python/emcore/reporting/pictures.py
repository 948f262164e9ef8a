"""What `plot` draws: a page of everything, or one picture for each axes, the main map or those of chosen components.

Which map that is, which groups there are and which signals belong to them is told by the result's fields
(`emcore.results.contents`); there is nothing here for a single class.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.validation import check_count
from emcore.core.warning import warn
from emcore.core.wording import count_of, symbol
from emcore.reporting.pages import overview
from emcore.reporting.pages.scan import alike, line_of
from emcore.reporting.pages.spectra import label_of, shown_axis
from emcore.reporting.plotting import (
    as_written,
    component_color,
    draw_grains,
    draw_labels,
    draw_labels_along,
    draw_map,
    draw_memberships,
    draw_profiles,
    style,
)
from emcore.results.contents import Contents, Shown, contents

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More groups have their numbers on the map instead of a legend; so many of them.
_LEGEND, _NUMBERED = 16, 30
# Panels of a figure of its own, in inches; components in a line where there are more than a few.
_PANEL, _FEW = (3.1, 2.7), 3
_OTHERS = (225, 225, 228)


def plot(result: Any, components: Any = None, ax: Any = None, cmap: Any = None) -> Any:
    """What a result shows, in a figure of its own or in axes of the user's. See `emcore.results.result.Result.plot`.

    Raises
    ------
    ImportError
        Without matplotlib (the extra `plot`).
    TypeError
        If `result` is of a kind that has no picture.

    Examples
    --------
    >>> import emcore
    >>> from emcore.datasets import lattice_micrograph
    >>> result = emcore.analyze_image(lattice_micrograph(shape=(256, 320)).image, window=64, n_components=2)
    >>> [axes.get_title("left") for axes in result.plot().axes][:2]
    ['Image', 'Regions']
    """
    if ax is not None:
        _into(result, components, ax, cmap)
        return ax
    figure = draw(result, components, cmap)
    from emcore.reporting.plotting.figures import managed

    # Outside the look of a page: with a backend come settings that are to stay.
    return managed(figure)


def draw(result: Any, components: Any = None, cmap: Any = None) -> "Figure":
    """The figure that `plot` shows, which pyplot does not know."""
    with style():
        from emcore.reporting.plotting.figures import pictures_of

        figure = overview(result) if components is None else own_figure(result, components)
        for image in pictures_of(figure.axes) if cmap is not None else ():
            image.set_cmap(cmap)
        return as_written(figure)


def _into(result: Any, components: Any, ax: Any, cmap: Any) -> None:
    import matplotlib

    from emcore.reporting.plotting.figures import pictures_of

    # The look is that of the user's figure, but names come from files.
    with matplotlib.rc_context({"text.parse_math": False, "axes.grid": False}):
        axes = draw_into(result, components, ax)
    for image in pictures_of(axes) if cmap is not None else ():
        image.set_cmap(cmap)


def show(result: Any, *options: Any) -> None:
    """Plot and show. See `emcore.results.result.Result.show`."""
    figure = plot(result, *options)
    from emcore.reporting.plotting.figures import shown

    if not shown():
        warn(
            f"there is no display here ({figure.canvas.__class__.__name__}): plot().savefig('name.png') writes the "
            "picture, report('name.pdf') all that there is, to_html('name.html') a page for a browser",
            UserWarning,
        )


def own_figure(result: Any, components: Any) -> "Figure":
    """A figure of the maps of some components, their signals beside them."""
    from emcore.reporting.plotting.figures import ResultFigure

    inside = contents(result)
    groups, chosen = _chosen(result, inside, components)
    beside = 1 + len(_signals(inside, groups))
    a_line = 1 if len(chosen) <= _FEW and beside > 1 else max(4 // beside, 1)
    lines = -(-len(chosen) // a_line)
    columns = beside * min(a_line, len(chosen))
    figure = ResultFigure(figsize=(_PANEL[0] * columns, _PANEL[1] * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for unused in axes[beside * len(chosen) :]:
        unused.set_axis_off()
    _draw(result, inside, groups, chosen, list(axes[: beside * len(chosen)]))
    return figure


def draw_into(result: Any, components: Any, ax: Any) -> list["Axes"]:
    """Draw the main map, or those of some components, into these axes, and say which they are."""
    from matplotlib.axes import Axes

    axes: list[Axes] = list(np.atleast_1d(np.asarray(ax, dtype=object)).ravel())
    for each in axes:
        if not isinstance(each, Axes):
            raise TypeError(f"ax holds a {type(each).__name__}: give matplotlib Axes, one or an array of them")
    inside = contents(result)
    if components is None:
        if len(axes) != 1:
            raise ValueError(f"ax holds {len(axes)} axes: give one, for the main map, or choose components for them")
        _draw_whole(result, inside, axes[0])
        return axes
    groups, chosen = _chosen(result, inside, components)
    signals = len(_signals(inside, groups))
    if len(axes) not in (len(chosen), len(chosen) * (1 + signals)):
        also = f", or {len(chosen) * (1 + signals)}, for maps and signals in turn" if signals else ""
        said = count_of(len(chosen), _noun(groups))
        raise ValueError(f"ax holds {len(axes)} axes for {said}: give {len(chosen)}, for the maps{also}")
    _draw(result, inside, groups, chosen, axes)
    return axes


def _noun(groups: Shown) -> str:
    """What components are here: what there is a map of for each, or what labels count."""
    return groups.of or groups.counts


def _count(inside: Contents, groups: Shown) -> int:
    if groups.of:
        return len(groups.values)
    noun = groups.counts
    lengths = [len(next(iter(columns.values()))) for of, columns in inside.tables.items() if of == noun]
    return max([int(groups.values.max()) + 1, *lengths])


def _names(result: Any, noun: str, count: int) -> tuple[str, ...]:
    """Those that the result has, else numbers as they stand in every picture."""
    for each in dataclasses.fields(result):
        if each.metadata.get("names") == noun and len(getattr(result, each.name)) == count:
            return tuple(getattr(result, each.name))
    return tuple(f"{noun.capitalize()} {i + 1}" for i in range(count))


def _chosen(result: Any, inside: Contents, components: Any) -> tuple[Shown, list[int]]:
    """The map that has components, and the indices of those that are meant."""
    groups = next(iter(inside.maps), None)
    if groups is None or not _noun(groups):
        raise ValueError(f"a {type(result).__name__} has no components to choose among: leave components out")
    noun, count = _noun(groups), _count(inside, groups)
    names = _names(result, noun, count)
    several = [components] if isinstance(components, str) or np.ndim(components) == 0 else list(components)
    if not several:
        raise ValueError("components is empty: give the indices of some")
    chosen = []
    for each in several:
        if isinstance(each, str) and each not in names:
            raise ValueError(f"components={each!r} is none of {', '.join(map(repr, names[:20]))}")
        index = names.index(each) if isinstance(each, str) else check_count(each, "components", 0, count - 1)
        chosen.append(index)
    return groups, chosen


def _signals(inside: Contents, groups: Shown) -> list[Shown]:
    """The signals that belong to components: the first field of them, or all of a field of several."""
    count = _count(inside, groups)
    fitting = [shown for shown in inside.signals if shown.of == _noun(groups) and len(shown.values) == count]
    stem = re.sub(r"_\d+$", "", fitting[0].name) if fitting else ""
    return [shown for shown in fitting if re.sub(r"_\d+$", "", shown.name) == stem]


def _draw(result: Any, inside: Contents, groups: Shown, chosen: Sequence[int], axes: Sequence["Axes"]) -> None:
    """Maps of components, each followed by its signals where there are axes for them."""
    names = _names(result, _noun(groups), _count(inside, groups))
    signals = _signals(inside, groups) if len(axes) > len(chosen) else []
    shares = _shares(inside, _noun(groups))
    spots = iter(axes)
    for index in chosen:
        each = next(spots)
        if groups.of:
            _draw_map(each, result, inside, dataclasses.replace(groups, values=groups.values[index : index + 1]), index)
        else:
            _draw_group(each, groups, index)
        share = f", {100 * float(shares[index]):.3g} %" if shares is not None else ""
        _title(each, names[index] + share)
        for shown in signals:
            _draw_signal(next(spots), shown, index)


def _shares(inside: Contents, noun: str) -> NDArray[Any] | None:
    columns = inside.tables.get(noun, {})
    return next((values for name, values in columns.items() if name.startswith("fraction of")), None)


def _draw_whole(result: Any, inside: Contents, axes: "Axes") -> None:
    """The one map that says most: labels where there are any, else the strongest component everywhere."""
    if not inside.maps:
        raise ValueError("the result has no map to draw: plot() without ax draws what it has")
    first = inside.maps[0]
    if not first.of or first.labels:
        _draw_map(axes, result, inside, dataclasses.replace(first, values=first.values[:1]))
        return
    count = len(first.values)
    labels = (shown for shown in inside.maps if shown.labels and not shown.of and shown.values.max() + 1 == count)
    if (shown := next(labels, None)) is not None:
        _draw_map(axes, result, inside, shown)
    elif first.of == "component":
        _draw_strongest(axes, first)
    else:
        # Of alternatives, not of parts: the one that was chosen.
        best = int(getattr(result, "best", 0))
        _draw_map(axes, result, inside, dataclasses.replace(first, values=first.values[best : best + 1]), best)
        _title(axes, _names(result, first.of, count)[best])


def _draw_map(axes: "Axes", result: Any, inside: Contents, shown: Shown, index: int | None = None) -> None:
    """A map alone: labels in their colours, values with a bar of theirs."""
    line = line_of(shown.axes)
    if shown.labels:
        count = _count(inside, dataclasses.replace(shown, of=""))
        _draw_labels(axes, result, shown, count)
        _title(axes, count_of(count, shown.counts).capitalize())
        return
    values = _measured(result, shown.values[0].astype(np.float64))
    if line is not None:
        color = "0.2" if index is None else component_color(index)
        draw_profiles(axes, values.reshape(1, -1), line, [color], label=symbol(shown.units) or shown.title)
    else:
        y, x = alike(*shown.axes)
        there = values[np.isfinite(values)]
        colors: Any = {"cmap": "gray"}
        if shown.name != "image":
            colors = {"cmap": "viridis"}
            if there.size and there.min() >= 0 < there.max():
                colors["limits"] = 0.0, float(np.quantile(there, 0.9995)) or float(there.max())
        image = draw_map(axes, values, y.values, x.values, units=x.units, ticks=False, scale_bar=True, **colors)
        _color_bar(axes, image, symbol(shown.units))
    _title(axes, shown.title.capitalize())


def _draw_labels(axes: "Axes", result: Any, shown: Shown, count: int) -> None:
    labels, line = shown.values[0], line_of(shown.axes)
    if line is not None:
        draw_labels_along(axes, labels.ravel(), line, count, shown.counts)
        return
    y, x = alike(*shown.axes)
    if count > _LEGEND:
        draw_grains(axes, labels, y.values, x.values, _NUMBERED, x.units, f"no {shown.counts}")
        return
    names = _names(result, shown.counts, count)
    own = None if names[:1] in ((), (f"{shown.counts.capitalize()} 1",)) else names
    _make_room(axes, 0.35 + 0.075 * max(map(len, (shown.counts, *(own or ())))))
    draw_labels(axes, labels, y.values, x.values, count, noun=shown.counts, units=x.units, names=own)


def _draw_group(axes: "Axes", shown: Shown, index: int) -> None:
    """Where a group is, in its colour; all others are grey, and white what has none."""
    from emcore.reporting.plotting.maps import draw_scale_bar, reduction, show, thinned

    labels, line = shown.values[0], line_of(shown.axes)
    if line is not None:
        only = np.where(labels == index, labels, -1).ravel()
        draw_labels_along(axes, only, line, int(labels.max()) + 1, shown.counts)
        return
    y, x = alike(*shown.axes)
    steps = reduction(labels.shape)
    small = thinned(labels, steps)
    picture = np.full((*small.shape, 3), 255, dtype=np.uint8)
    picture[small >= 0] = _OTHERS
    picture[small == index] = np.multiply(component_color(index), 255).round()
    show(axes, picture, steps, y.values, x.values)
    axes.set_xticks([])
    axes.set_yticks([])
    draw_scale_bar(axes, x.units)


def _draw_strongest(axes: "Axes", shown: Shown) -> None:
    """Which component has the largest part of every position, and how large that is."""
    values = np.maximum(shown.values.astype(np.float64), 0)
    sums = values.sum(axis=0)
    parts = np.divide(values, sums, out=np.zeros_like(values), where=sums > 0)
    line = line_of(shown.axes)
    if line is not None:
        colors = [component_color(i) for i in range(len(parts))]
        draw_profiles(axes, parts.reshape(len(parts), -1), line, colors, label="part", limits=(0.0, 1.0))
    else:
        y, x = alike(*shown.axes)
        _make_room(axes, 0.35 + 0.075 * len(shown.of))
        draw_memberships(axes, parts, y.values, x.values, units=x.units, legend=shown.of, empty=sums <= 0)
    _title(axes, f"Strongest {shown.of}")


def _draw_signal(axes: "Axes", shown: Shown, index: int) -> None:
    """A spectrum or a curve in the colour of its component; of a pattern the root of the intensity."""
    values = shown.values[index].astype(np.float64)
    if len(shown.axes) == 1:
        axis = shown_axis(shown.axes[0])
        axes.plot(axis.values, values, color=component_color(index), linewidth=1.0)
        axes.set_xlabel(label_of(axis) if axis.name else "point")
        axes.margins(x=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.locator_params(nbins=5)
        axes.set_ylabel(symbol(shown.units))
        return
    y, x = alike(*shown.axes)
    if float(values.min()) < 0:
        most = float(np.abs(values).max())
        draw_map(axes, values, y.values, x.values, units=x.units, cmap="RdBu_r", limits=(-most, most))
    else:
        root = np.sqrt(values)
        limits = float(root.min()), max(float(np.quantile(root, 0.999)), float(root.min()) + 1e-30)
        draw_map(axes, root, y.values, x.values, units=x.units, cmap="magma", limits=limits)
    for set_label, axis in ((axes.set_xlabel, x), (axes.set_ylabel, y)):
        set_label(f"{axis.name.replace('_', ' ')} ({symbol(axis.units)})")


def _measured(result: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A map, NaN where nothing was measured."""
    measured = getattr(result, "measured", None)
    if measured is None or measured.size != values.size:
        return values
    return np.where(measured.reshape(values.shape), values, np.nan)


def _color_bar(axes: "Axes", image: Any, label: str) -> None:
    """A bar of an image's colours at its right, as high as the picture is, in whatever layout."""
    _make_room(axes, 0.8 if label else 0.6)
    bar = axes.inset_axes((1.03, 0.0, 0.05, 1.0))
    image.figure.colorbar(image, cax=bar, label=label)
    bar.locator_params(nbins=4)


def _make_room(axes: "Axes", inches: float) -> None:
    """At the right of the picture, inside the box of `axes`, unless the figure's layout makes room by itself."""
    from mpl_toolkits.axes_grid1 import make_axes_locatable

    if axes.figure.get_layout_engine() is None:
        make_axes_locatable(axes).append_axes("right", size=inches, pad=0.0).set_axis_off()


def _title(axes: "Axes", text: str) -> None:
    axes.set_title(text, loc="left", parse_math=False)
