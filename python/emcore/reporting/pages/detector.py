"""A virtual detector: what it shows beside those in use, where it lies on the pattern, how all annuli do."""

import math
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from emcore.core.wording import empty, number, power_of_ten, quantity, symbol
from emcore.reporting.pages.layout import LEFT, WIDTH, new_page, place, wrapped, write
from emcore.reporting.pages.patterns import brightest, draw_pattern, values
from emcore.reporting.pages.scan import draw_color_bar, draw_groups, draw_values, size_of
from emcore.reporting.plotting import component_color, draw_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PICTURE, _KEY_LINES, _ROW = 2.95, 12, 0.26
_CAPTION = (
    "Contrast |a - b| / (|a| + |b|) of the means of both groups; contrast-to-noise |a - b| / sqrt(var a + var b) of a "
    "single position. Held out: at positions on which nothing was chosen. Rings count as measured, per pixel."
)


def overview(result: Any) -> "Figure":
    """One page with everything."""
    figure = new_page(11.6)
    _draw_images(figure, result, 0.45)
    _draw_choice(figure, result, 3.95)
    _draw_detectors(figure, result, 7.75)
    _draw_table(figure, result, 7.65)
    write(figure, LEFT, 11.25, "\n".join(textwrap.wrap(_CAPTION, 165)), color="0.35")
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """What detectors show and how the best was chosen; where they lie, and numbers."""
    figure = new_page()
    _draw_images(figure, result, 0.95)
    _draw_choice(figure, result, 4.45)
    yield figure
    figure = new_page()
    _draw_detectors(figure, result, 1.0)
    _draw_table(figure, result, 0.9)
    write(figure, LEFT, 4.9, _key_numbers(result), linespacing=1.6)
    write(figure, LEFT, 7.45, "\n".join(textwrap.wrap(_CAPTION, 165)), color="0.35")
    yield figure


def _column(index: int) -> float:
    return LEFT + index * (WIDTH - 2 * LEFT + 0.25) / 3


def _shown(result: Any) -> list[int]:
    """The best detector, and before it the first two in use that are not alike."""
    names = list(result.names)
    wanted = [names.index(name) for name in ("bright field", "annular dark field") if name in names]
    wanted += [i for i in range(len(names)) if i not in wanted and i != result.best]
    return [*wanted[:2], result.best]


def _draw_images(figure: "Figure", result: Any, top: float) -> None:
    """Virtual images before, and the best."""
    chosen = _shown(result)
    for column, index in enumerate(chosen):
        axes = place(figure, _column(3 - len(chosen) + column), top, _PICTURE, _PICTURE)
        shown = np.where(result.measured, result.images[index], np.nan)
        draw_values(axes, shown, result.image.axes, label="counts", bar=True)
        name = result.names[index]
        title = f"{name[0].upper()}{name[1:]}: {100 * result.contrast[index]:.1f} %, CNR {number(result.cnr[index], 3)}"
        axes.set_title(title, loc="left", fontweight="bold" if index == result.best else "normal")


def _draw_choice(figure: "Figure", result: Any, top: float) -> None:
    """The groups, the score of every annulus, the rings of both groups."""
    axes = place(figure, _column(0), top, _PICTURE, _PICTURE)
    draw_groups(axes, result.labels, result.image.axes, 2, "group", gaps=False)
    a, b = result.group_names
    axes.set_title(textwrap.shorten(f"Groups 1, {a}, and 2, {b}", 48, placeholder="…"), loc="left")
    _draw_scores(place(figure, _column(1) + 0.5, top, _PICTURE - 0.5, _PICTURE - 0.45), result)
    _draw_profiles(place(figure, _column(2) + 0.5, top, _PICTURE - 0.35, _PICTURE - 0.45), result)


def _draw_scores(axes: "Axes", result: Any) -> None:
    """The score against both radii, in steps of a pixel."""
    fisher = result.score == "fisher"
    scores = result.cnr_map if fisher else result.contrast_map
    most = int(np.floor(result.edges[-1]))
    radii = np.arange(most + 1)
    at = np.minimum(np.searchsorted(result.edges, radii), len(result.edges) - 1)
    shown = np.full((most, most), np.nan)
    for outer in range(1, most + 1):
        inner = radii[:outer]
        shown[outer - 1, :outer] = scores[np.minimum(at[inner], at[outer] - 1), at[outer] - 1]
    image = draw_map(
        axes,
        shown,
        (radii[1:] * result.scale).astype(np.float64),
        (radii[:-1] * result.scale).astype(np.float64),
        units=result.units,
        cmap="viridis",
        limits=(0.0, max(float(np.nanmax(shown)), 1e-12)),
    )
    axes.set_xlabel(f"inner radius ({symbol(result.units)})")
    axes.set_ylabel(f"outer radius ({symbol(result.units)})")
    best = result.names.index("best annulus")
    place_of = result.inner[best] * result.scale, result.outer[best] * result.scale
    axes.plot(*place_of, "o", markersize=7, markerfacecolor="none", markeredgecolor="#D55E00", markeredgewidth=1.5)
    axes.set_title("Contrast-to-noise of annuli" if fisher else "Contrast of annuli", loc="left")
    draw_color_bar(axes, image)


def _draw_profiles(axes: "Axes", result: Any) -> None:
    """What a pixel of each ring counts, of both groups, and between which radii the best annulus lies."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    radii = (result.edges[:-1] + result.edges[1:]) / 2 * result.scale
    per_pixel = result.profiles / np.maximum(result.pixels, 1)
    for group in (0, 1):
        axes.plot(radii, per_pixel[group], color=component_color(group), linewidth=1.4, label=str(group + 1))
    best = result.names.index("best annulus")
    axes.axvspan(
        result.inner[best] * result.scale, result.outer[best] * result.scale, color="0.85", zorder=0, linewidth=0
    )
    if (per_pixel > 0).any() and per_pixel.min() >= 0:
        least = float(per_pixel[per_pixel > 0].min())
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power_of_ten(round(math.log10(value)))))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(max(least, float(per_pixel.max()) * 1e-6) / 1.5, float(per_pixel.max()) * 1.5)
    axes.set_xlim(0, float(radii[-1]))
    axes.set_xlabel(f"radius ({symbol(result.units)})")
    axes.set_ylabel("counts per pixel")
    axes.legend(title="group", frameon=False, fontsize=7, title_fontsize=7)
    axes.set_title("Rings; the best annulus in grey", loc="left")


def _draw_detectors(figure: "Figure", result: Any, top: float) -> None:
    """The mean pattern with the best annulus, and the free mask where there is one."""
    mean = np.asarray(result.mean.data)
    axes = place(figure, LEFT + 0.35, top, 2.45, 2.45)
    draw_pattern(axes, result, mean, brightest(result, mean[None]))
    best = result.names.index("best annulus")
    for radius in (result.inner[best], result.outer[best]):
        if radius > 0:
            _draw_circle(axes, result, float(radius))
    axes.set_title("Mean pattern, best annulus", loc="left")
    if "free mask" in result.names:
        axes = place(figure, LEFT + 3.45, top, 2.45, 2.45)
        mask = result.masks[result.names.index("free mask")]
        level = max(float(np.quantile(np.abs(mask), 0.995)), 1e-12)
        ky, kx = (values(result, axis) for axis in (0, 1))
        image = draw_map(axes, mask, ky, kx, units=result.units, cmap="RdBu_r", limits=(-level, level))
        axes.set_xlabel(f"kx ({symbol(result.units)})")
        axes.set_ylabel(f"ky ({symbol(result.units)})")
        axes.set_title("Free mask, weights", loc="left")
        draw_color_bar(axes, image)


def _draw_circle(axes: "Axes", result: Any, radius: float) -> None:
    ky, kx = (values(result, axis) for axis in (0, 1))
    angle = np.linspace(0, 2 * np.pi, 361)
    rows, columns = (
        result.beam_center[0] + radius * np.sin(angle),
        result.beam_center[1] + radius * np.cos(angle),
    )
    outside = (rows < -0.5) | (rows > len(ky) - 0.5) | (columns < -0.5) | (columns > len(kx) - 0.5)
    y, x = (
        np.where(outside, np.nan, first[0] + (first[-1] - first[0]) / max(len(first) - 1, 1) * at)
        for first, at in ((ky, rows), (kx, columns))
    )
    axes.plot(x, y, color="black", linewidth=1.8)
    axes.plot(x, y, color="#00E5FF", linewidth=1.2, gid="annulus")


def _draw_table(figure: "Figure", result: Any, top: float) -> None:
    """A line for each detector: radii, contrast, contrast-to-noise, at positions held out and at those chosen on."""
    left = 7.15
    heads = [("detector", 0.0, "left"), (f"radii ({symbol(result.units)})", 2.65, "right")]
    heads += [("contrast", 3.3, "right"), ("CNR", 3.95, "right")]
    for text, at, side in heads:
        write(figure, left + at, top + 0.15, text, color="0.35", ha=side)
    held = "positions held out" if result.held_out.any() else "all positions"
    write(figure, left + 3.95, top - 0.03, held, color="0.35", ha="right")
    for line, index in enumerate(range(len(result.names))):
        weight = "bold" if index == result.best else "normal"
        row = top + 0.45 + _ROW * line
        said = f"{100 * result.contrast[index]:.1f} %", number(result.cnr[index], 3)
        cells = [_short(result.names[index]), radii_of(result, index), *said]
        for text, (_, at, side) in zip(cells, heads, strict=True):
            write(figure, left + at, row, text, ha=side, fontweight=weight)


def _short(name: str) -> str:
    return name.replace("high-angle annular dark field", "high-angle dark field")


def radii_of(result: Any, index: int, units: bool = False) -> str:
    """Between which radii a detector lies, as one reads it."""
    inner, outer = (float(each[index]) * result.scale for each in (result.inner, result.outer))
    if not np.isfinite(outer):
        return "–"
    said = f"{number(inner, 3)} – {number(outer, 3)}"
    return f"{said} {symbol(result.units)}" if units else said


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of the detector, by a word for it."""
    counts = [int((result.labels == group).sum()) for group in (0, 1)]
    names = result.group_names
    center_y, center_x = result.beam_center
    beam = f"at kx {center_x:.2f}, ky {center_y:.2f} px"
    if result.beam_radius is not None:
        beam += f", radius {result.beam_radius:.2f} px"
        if result.units != "px":
            beam += f" ({quantity(result.beam_radius * result.scale, result.units)})"
    best = result.names.index("best annulus")
    table = {
        "groups": f"{names[0]}, {counts[0]} positions; {names[1]}, {counts[1]} positions",
        "beam": beam,
        "annulus": f"{radii_of(result, best, units=True)}: {in_words(result, best)}",
    }
    if result.best != best:
        table["free"] = in_words(result, result.best)
    return table


def in_words(result: Any, index: int) -> str:
    """Contrast and contrast-to-noise of a detector."""
    return f"contrast {100 * result.contrast[index]:.1f} %, contrast-to-noise {number(result.cnr[index], 3)}"


def _key_numbers(result: Any) -> str:
    texts = [
        f"scan: {size_of(result.image.axes)}{empty(result.n_empty)}",
        *(f"{name}: {text}" for name, text in key_numbers(result).items()),
        *(f"Note: {note}" for note in result.provenance.notes),
    ]
    return "\n".join(wrapped(texts, 165, _KEY_LINES))
