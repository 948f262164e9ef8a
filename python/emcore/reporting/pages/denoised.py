"""A denoised scan: a channel and signals of it before and after, what was taken off, and why so much."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcore.core.signals import Axis
from emcore.core.wording import count_of, empty, number, symbol
from emcore.reporting.pages.layout import LEFT, WIDTH, new_page, place, wrapped, write
from emcore.reporting.pages.scan import draw_color_bar, draw_values, size_of
from emcore.reporting.pages.spectra import label_of, shown_axis
from emcore.reporting.plotting import draw_map, draw_scree
from emcore.results.denoised import ENERGY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PICTURE, _PATTERN, _BEFORE, _AFTER = 2.95, 2.3, "0.72", "#0072B2"
_CAPTION = (
    "Above: the channel in which positions differ most, at every position, each picture on its own scale. Residual: "
    "measured less denoised, squared, over what noise adds: about 1 where just noise was taken off; where it stands "
    "out, signal was taken off with it."
)


def overview(result: Any) -> "Figure":
    """One page with everything."""
    figure = new_page(10.4)
    _draw_channel(figure, result, 0.45)
    _draw_signals(figure, result, 3.95)
    _draw_choice(figure, result, 7.4)
    return figure


def pages(result: Any) -> "Iterator[Figure]":
    """Maps and signals, then the choice."""
    figure = new_page()
    _draw_channel(figure, result, 0.95)
    _draw_signals(figure, result, 4.5)
    write(figure, LEFT, 7.5, "\n".join(textwrap.wrap(_CAPTION, 165)), color="0.35")
    yield figure
    figure = new_page()
    _draw_choice(figure, result, 1.0)
    yield figure


def channel_said(result: Any) -> str:
    """Where the channel lies that is shown: "6.4 keV", "kx 12, ky 30 px"."""
    axes = result.mean.axes
    if len(axes) == 1:
        axis = shown_axis(axes[0])
        value = float(axis.values[result.channel[0]])
        return f"{value:.4g} {symbol(axis.units)}" if axis.calibrated else f"{axis.name} {result.channel[0]}"
    parts = zip(reversed(axes), reversed(result.channel), strict=True)
    return ", ".join(f"{axis.name} {index}" for axis, index in parts) + " px"


def position_said(result: Any) -> str:
    """Which position is shown: "x 12, y 3"."""
    parts = zip(reversed(result.image.axes), reversed(result.position), strict=True)
    return ", ".join(f"{axis.name} {index}" for axis, index in parts)


def residuals(result: Any) -> NDArray[np.float32]:
    """What was taken off the positions that were measured."""
    left: NDArray[np.float32] = result.residual_map[result.measured]
    return left


def key_numbers(result: Any) -> dict[str, str]:
    """What is to be said of the denoising, by a word for it."""
    by = "asked for" if result.rule == "given" else f"by rule {result.rule}"
    table = {"kept": f"{count_of(result.n_components, 'component')}, {by}: {result.reason}"}
    parts = ", ".join(f"{100 * part:.3g}" for part in result.kept[:8])
    table["of them"] = f"{parts}{', …' if len(result.kept) > 8 else ''} % is signal"
    table["residual"] = f"{number(float(residuals(result).mean()))} {result.residual_unit} on average"
    if result.broken.any():
        table["detector"] = f"{int(result.broken.sum())} of {result.broken.size} pixels are broken"
    table["scan"] = f"written to {result.path}" if result.path else "in memory, in signal"
    return table


def _column(index: int) -> float:
    return LEFT + index * (WIDTH - 2 * LEFT + 0.25) / 3


def _where(result: Any, values: NDArray[Any]) -> NDArray[Any]:
    return np.where(result.measured, values, np.nan)


def _draw_channel(figure: "Figure", result: Any, top: float) -> None:
    """One channel at every position, before and after, and the residual."""
    scan = result.image.axes
    said = channel_said(result)
    for column, (values, when) in enumerate(
        ((result.of_channel, "measured"), (result.of_channel_denoised, "denoised"))
    ):
        axes = place(figure, _column(column), top, _PICTURE, _PICTURE)
        shown = _where(result, values)
        limits = _limits(shown[result.measured])
        draw_values(axes, shown, scan, label="signal", cmap="viridis", limits=limits, bar=True, color=_AFTER)
        axes.set_title(f"{said}, {when}", loc="left")
    axes = place(figure, _column(2), top, _PICTURE, _PICTURE)
    values = _where(result, result.residual_map)
    most = float(np.nanquantile(values, 0.999))
    limits = (0.0, max(2.0, most)) if result.residual_unit != ENERGY else (0.0, max(most, 1e-30))
    draw_values(axes, values, scan, label="residual", cmap="magma", limits=limits, bar=True)
    axes.set_title(f"Residual, {result.residual_unit}", loc="left")


def _limits(values: NDArray[Any]) -> tuple[float, float]:
    low, high = (float(level) for level in np.quantile(values, (0.002, 0.998)))
    return low, high if high > low else low + 1.0


def _draw_signals(figure: "Figure", result: Any, top: float) -> None:
    """The mean signal and that of one position, before and after."""
    pairs = (
        ("Mean signal", np.asarray(result.mean.data), result.mean_denoised),
        (f"Position {position_said(result)}", result.at_position, result.at_position_denoised),
    )
    for column, (title, before, after) in enumerate(pairs):
        if len(result.mean.axes) == 1:
            axes = place(figure, LEFT + 0.45 + 5.5 * column, top, 4.65, 2.5)
            _draw_spectra(axes, result.mean.axes[0], before, after)
            axes.set_title(title, loc="left")
            continue
        level = max(float(np.quantile(np.maximum(after, 0), 0.999)), 1e-30)
        for i, (pattern, when) in enumerate(((before, "measured"), (after, "denoised"))):
            axes = place(figure, LEFT + 0.35 + 5.4 * column + 2.6 * i, top, _PATTERN, _PATTERN)
            draw_pattern(axes, result.mean.axes, pattern, level, label=not (i or column))
            axes.set_title(f"{title}, {when}" if not i else when, loc="left")


def _draw_spectra(axes: "Axes", axis: Axis, before: NDArray[Any], after: NDArray[Any]) -> None:
    shown = shown_axis(axis)
    if min(float(before.min()), float(after.min())) >= 0:
        axes.set_yscale("function", functions=(lambda v: np.sqrt(np.maximum(v, 0)), np.square))
        most = max(float(before.max()), float(after.max()), 1e-30)
        axes.set_ylim(0, 1.05 * most)
        ticks = [0.0, *(float(f"{most * part:.1g}") for part in (0.1, 0.9))]
        axes.set_yticks(ticks, [number(tick, 1) for tick in ticks])
    axes.plot(shown.values, before, color=_BEFORE, linewidth=0.8, label="measured")
    axes.plot(shown.values, after, color=_AFTER, linewidth=1.1, label="denoised")
    axes.set_xlabel(label_of(shown))
    axes.set_ylabel("signal")
    axes.margins(x=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right")


def draw_pattern(axes: "Axes", plane: Sequence[Axis], pattern: NDArray[Any], level: float, label: bool = True) -> None:
    """A pattern, the root of its intensity, white from `level` on."""
    ky, kx = plane
    shown = np.sqrt(np.maximum(pattern, 0))
    draw_map(axes, shown, ky.values, kx.values, units=kx.units, cmap="magma", limits=(0.0, level**0.5))
    axes.set_xlabel(f"{kx.name} ({symbol(kx.units)})")
    axes.set_ylabel(f"{ky.name} ({symbol(ky.units)})" if label else "")


def _draw_choice(figure: "Figure", result: Any, top: float) -> None:
    """What is said of it, the scree, and the residual of every channel."""
    texts = [
        f"scan: {size_of(result.image.axes)}{empty(result.n_empty)}",
        *(f"{name}: {text}" for name, text in key_numbers(result).items()),
        *(f"Note: {note}" for note in result.provenance.notes),
    ]
    write(figure, LEFT, top, "\n".join(wrapped(texts, 58, 15)), linespacing=1.5)
    axes = place(figure, 5.1, top + 0.15, 2.5, 1.95)
    draw_scree(axes, result.evr, result.n_components)
    axes.set_title(f"Scree: {count_of(result.n_components, 'component')}", loc="left")
    said = f"Residual, {result.residual_unit}"
    if len(result.mean.axes) == 2:
        axes = place(figure, 8.45, top + 0.15, 2.3, 2.3)
        ky, kx = result.mean.axes
        shown = np.where(result.broken, np.nan, result.residual_signal)
        most = float(np.nanquantile(shown, 0.999))
        limits = (0.0, max(2.0, most)) if result.residual_unit != ENERGY else (0.0, max(most, 1e-30))
        image = draw_map(axes, shown, ky.values, kx.values, units=kx.units, cmap="magma", limits=limits, ticks=False)
        draw_color_bar(axes, image)
        axes.set_title(said, loc="left")
        return
    axes = place(figure, 8.4, top + 0.15, 2.75, 1.95)
    axis = shown_axis(result.mean.axes[0])
    # Where nothing was counted, nothing is left.
    shown = np.where(result.residual_signal > 0, result.residual_signal, np.nan)
    axes.plot(axis.values, shown, color="0.3", linewidth=0.6)
    if result.residual_unit != ENERGY:
        axes.axhline(1, color="#D55E00", linewidth=0.8, linestyle="--")
    axes.set_xlabel(label_of(axis))
    axes.margins(x=0)
    axes.set_ylim(0, max(1.15 * float(np.max(result.residual_signal)), 1e-30))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(said, loc="left")
