"""However many groups a result has, every one stands in its tables and no text is printed over another."""

from dataclasses import replace

import numpy as np
import pytest

from emcore.core.provenance import Provenance
from emcore.core.signals import Axis, Signal
from emcore.reporting import plotting
from emcore.reporting.pages import overview, pages
from emcore.results.clustering import Clustering
from emcore.results.fuzzy_clustering import FuzzyClustering
from emcore.results.segmentation import Segmentation
from emcore.results.unmixing import NOISE, Unmixing

SCANS = {
    "picture": (Axis("y", 20, 2.0, units="nm"), Axis("x", 30, 2.0, units="nm")),
    "line": (Axis("position", 60, 2.0, units="nm"),),
}


def record(verb, /, **parameters):
    notes = ("a note that is as long as notes are, and says what was left out of the scan and why",)
    return Provenance(verb, parameters, {"emcore": "0"}, "scan.hspy", "0" * 64, notes=notes)


def scan_of(k, scan):
    shape = tuple(axis.size for axis in scan)
    labels = (np.arange(np.prod(shape)) * k // np.prod(shape)).astype(np.int32)
    area = np.bincount(labels, minlength=k) / labels.size
    return shape, labels.reshape(shape), area


def clustering(k, scan, curves):
    rng = np.random.default_rng(k)
    shape, labels, area = scan_of(k, scan)
    image = Signal(rng.random(shape), scan, "", "mean modulus")
    options = {"labels": labels, "area": area, "inertia": 1.0, "n_clusters": k, "rule": "given", "image": image}
    if not curves:
        plane = (Axis("ky", 16, 0.1, units="1/nm"), Axis("kx", 16, 0.1, units="1/nm"))
        mean, signals = Signal(rng.random((16, 16)), plane, "", "PACBED"), rng.random((k, 16, 16))
        provenance = record("cluster_diffraction", reduce=None, normalize="sum")
        return Clustering(signals=signals, reason="asked for", mean=mean, provenance=provenance, **options)
    axis = Axis("bias", 50, 0.01, -0.25, "V")
    signals = np.cumsum(rng.random((k, 50)), axis=1)
    slopes = np.where(np.arange(k) % 3, rng.random(k), np.nan)
    return Clustering(
        signals=signals,
        reason="asked for",
        mean=Signal(signals[0], (axis,), "", "Current (nA)"),
        provenance=record("cluster_curves", normalize=None),
        spread=signals * 0.1,
        low=signals * 0.8,
        high=signals * 1.2,
        x=axis.values,
        conductance=slopes,
        conductance_spread=slopes,
        r_squared=rng.random(k),
        **options,
    )


def unmixing(k, scan):
    rng = np.random.default_rng(k)
    shape, labels, area = scan_of(k, scan)
    axis = Axis("energy", 600, 20.0, 0.0, "eV")
    spectra = 1.0 + 300 * np.exp(-0.5 * ((axis.values - 700 - 500 * np.arange(k)[:, None]) / 50) ** 2)
    spectra += 500 * np.exp(-0.5 * ((axis.values - 520) / 30) ** 2)
    spectra /= spectra.sum(axis=1, keepdims=True)
    return Unmixing(
        maps=(1000 * (labels == np.arange(k).reshape(-1, *[1] * len(shape)))).astype(np.float32),
        spectra=spectra,
        fraction=area,
        residual_map=rng.random(shape).astype(np.float32),
        residual_spectrum=rng.random(600),
        residual_unit=NOISE,
        evr=np.r_[0.5 ** np.arange(1, k + 1), 0.001 * 0.9 ** np.arange(20)][:20],
        n_components=k,
        rule="given",
        reason="asked for",
        above_edge=k,
        image=Signal(rng.random(shape), scan),
        mean=Signal(spectra.mean(axis=0), (axis,)),
        provenance=record("unmix", weighting="poisson", loss="frobenius", blocks=None),
    )


def fuzzy(k, scan):
    rng = np.random.default_rng(k)
    shape, labels, area = scan_of(k, scan)
    axis, plane = (
        Axis("energy", 60, 0.1, units="keV"),
        (Axis("ky", 8, 0.1, units="1/nm"), Axis("kx", 8, 0.1, units="1/nm")),
    )
    numbers = Axis("cluster", k)
    memberships = rng.dirichlet(np.ones(k), shape).astype(np.float32)
    memberships = np.moveaxis(memberships, -1, 0)
    inside = [(axis,), plane]
    return FuzzyClustering(
        memberships=memberships,
        labels=labels,
        area=area,
        positions=np.bincount(labels.ravel(), minlength=k),
        validity={"partition_coefficient": 0.5},
        n_clusters=k,
        threshold=0.5,
        scores=rng.random((3, *shape)).astype(np.float32),
        evr=0.5 ** np.arange(1, 31),
        n_components=3,
        rule="given",
        reason="asked for",
        alone=np.stack([memberships, memberships]),
        signals=tuple(
            Signal(rng.random((k, *(a.size for a in axes))), (numbers, *axes), "", "eds.hspy") for axes in inside
        ),
        components=tuple(
            Signal(rng.random((3, *(a.size for a in axes))), (Axis("component", 3), *axes), "", "eds.hspy")
            for axes in inside
        ),
        means=tuple(Signal(rng.random([a.size for a in axes]), axes, "", "eds.hspy") for axes in inside),
        image=Signal(rng.random(shape), scan, "", "eds.hspy"),
        provenance=record("correlate", scaling="robust", balance="equal", method="fuzzy-c-means", m=2.0),
    )


def segmentation(k, scan):
    rng = np.random.default_rng(k)
    if len(scan) == 1:
        scan = (Axis("y", 1, 2.0, units="nm"), *scan)
    shape, labels, _ = scan_of(k, scan)
    plane = (Axis("ky", 16, 0.1, units="1/nm"), Axis("kx", 16, 0.1, units="1/nm"))
    history = np.column_stack([np.zeros(k), np.arange(k), np.linspace(0.9, 0.1, k)])
    return Segmentation(
        labels=labels,
        signals=rng.random((k, 16, 16)),
        size=np.bincount(labels.ravel(), minlength=k),
        diameter=rng.random(k) * 20 + 1,
        correlation=rng.random(shape),
        confidence=rng.random(shape),
        segments=labels,
        history=history,
        kept=rng.random((16, 16)) > 0.9,
        n_segments=k + 1,
        n_grains=k,
        min_correlation=0.5,
        reason="asked for",
        image=Signal(rng.random(shape), tuple(scan)),
        mean=Signal(rng.random((16, 16)), plane),
        provenance=record("segment_grains", detector_pixels="range"),
    )


MAKERS = {
    "curves": lambda k, scan: clustering(k, scan, True),
    "patterns": lambda k, scan: clustering(k, scan, False),
    "unmixing": unmixing,
    "fuzzy": fuzzy,
    "segmentation": segmentation,
}


def texts(figure, ticks=False):
    """Every text of a figure that is seen, with its box in inches; labels of ticks where they are asked for."""
    figure.draw_without_rendering()
    observed = list(figure.texts)
    for axes in figure.axes:
        observed += [axes._left_title, *axes.texts]
        if axes.axison:
            observed += [axes.xaxis.label, axes.yaxis.label]
        if axes.axison and ticks:
            observed += [tick.label1 for axis in (axes.xaxis, axes.yaxis) for tick in axis._update_ticks()]
        if legend := axes.get_legend():
            observed += [legend.get_title(), *legend.get_texts()]
    seen = [text for text in observed if text.get_visible() and text.get_text().strip()]
    return [(text, text.get_window_extent().transformed(figure.dpi_scale_trans.inverted())) for text in seen]


def overprinted(figure, ticks=False):
    """Pairs of texts that are printed over each other by more than a hair."""
    seen = texts(figure, ticks)
    x0, y0, x1, y1 = np.array([box.extents for _, box in seen]).T
    wide = np.minimum.outer(x1, x1) - np.maximum.outer(x0, x0) > 0.01
    high = np.minimum.outer(y1, y1) - np.maximum.outer(y0, y0) > 0.02
    return [(seen[i][0].get_text(), seen[j][0].get_text()) for i, j in np.argwhere(np.triu(wide & high, 1))]


def check(figure):
    assert overprinted(figure) == []
    width, height = figure.get_size_inches()
    for text, box in texts(figure):
        assert box.x0 > 0.03, text.get_text()
        assert box.x1 < width - 0.03, text.get_text()
        assert box.y0 > 0.03, text.get_text()
        assert box.y1 < height - 0.03, text.get_text()


def listed(*figures):
    """What stands in the tables of figures."""
    return {text.get_text() for figure in figures for axes in figure.axes if not axes.axison for text in axes.texts}


@pytest.mark.parametrize(
    ("kind", "k", "scan"),
    [(kind, k, scan) for kind in MAKERS for k, scan in ((20, "picture"), (9, "line"))],
)
def test_no_text_is_printed_over_another_none_leaves_the_page_and_every_group_is_listed(kind, k, scan):
    result = MAKERS[kind](k, SCANS[scan])
    numbers = {str(i + 1) for i in range(k)}
    with plotting.style():
        whole = overview(result)
        check(whole)
        assert kind == "segmentation" or numbers <= listed(whole)
        report = list(pages(result))
        check(report[0])
        assert numbers <= listed(*report)


@pytest.mark.parametrize("k", [9, 20])
def test_no_text_of_an_image_is_printed_over_another(make_analysis, k):
    result = make_analysis(k)
    some = np.where(np.arange(k) % 2, result.spacing, np.nan)
    result = replace(result, second_spacing=some, second_direction=100 * some, angle=100 * some)
    with plotting.style():
        whole = overview(result)
        assert overprinted(whole) == []
        report = list(pages(result))
        assert overprinted(report[0]) == []
    numbers = {str(i + 1) for i in range(k)}
    assert numbers <= listed(whole)
    assert numbers <= listed(*report)


@pytest.mark.parametrize("decades", [0.02, 0.3, 0.8, 1.2, 2.0, 6.0, 30.0])
def test_labels_of_a_scree_do_not_pile_up(decades):
    from emcore.reporting.pages.layout import new_page, place

    for height in (1.5, 2.6):
        axes = place(new_page(), 2.0, 1.0, 2.4, height)
        plotting.draw_scree(axes, 0.9 * 10 ** np.linspace(0, -decades, 20), 3)
        assert overprinted(axes.figure, ticks=True) == []
        labels = [text.get_text() for text in axes.get_yticklabels() if text.get_text()]
        assert len(labels) >= 1
