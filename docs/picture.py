"""Draw the README's picture: `make pictures` writes docs/regions.png from the demo's micrograph."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import emcore
from emcore.datasets import lattice_micrograph
from emcore.reporting.plotting import component_color, draw_map, draw_regions, style

PICTURE = Path(__file__).with_name("regions.png")

result = emcore.analyze_image(lattice_micrograph(shape=(600, 800)).image)
y, x = (axis.values for axis in result.image.axes)
with style():
    figure = Figure(figsize=(9, 2.75), dpi=100)
    boxes = figure.subplots(1, 2 + result.n_components, width_ratios=[4, 4, *[2] * result.n_components])
    for axes, title in zip(boxes, ("image", "regions"), strict=False):
        draw_map(axes, result.image.data, y, x, ticks=False)
        axes.set_title(title, loc="left")
    draw_regions(boxes[1], result.regions, y, x)
    middle = slice(40, 89)  # the lattices' peaks are near zero frequency
    fy, fx = result.frequency_y[middle], result.frequency_x[middle]
    for i, axes in enumerate(boxes[2:]):
        draw_map(axes, result.spectra[i, middle, middle], fy, fx, cmap="magma", ticks=False)
        axes.set_title(f"spectrum {i + 1}", loc="left")
        axes.set_xlabel(f"{result.spacing[i]:.1f} px, {result.direction[i]:.0f}°")
        for spine in axes.spines.values():
            spine.set(color=component_color(i), linewidth=2)
    figure.tight_layout(pad=0.5)
    figure.savefig(PICTURE)
colours = Image.fromarray(np.asarray(Image.open(PICTURE).convert("RGB"))).quantize(96)
colours.save(PICTURE, optimize=True)
print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")
