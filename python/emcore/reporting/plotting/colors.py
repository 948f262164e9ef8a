"""Which colour has a component, a cluster, a region?"""

# Okabe & Ito's palette for every kind of colour vision, without black; then the same darker, then lighter.
_PALETTE = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")


def component_color(index: int) -> tuple[float, float, float]:
    """Colour of component `index` (from 0) as red, green and blue in 0..1; 21 differ, then they repeat.

    Examples
    --------
    >>> from emcore.reporting.plotting import component_color
    >>> tuple(round(255 * channel) for channel in component_color(1))
    (0, 114, 178)
    """
    code = _PALETTE[index % len(_PALETTE)]
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    scale, shift = ((1.0, 0.0), (0.55, 0.0), (0.5, 0.5))[index // len(_PALETTE) % 3]
    return red * scale + shift, green * scale + shift, blue * scale + shift
