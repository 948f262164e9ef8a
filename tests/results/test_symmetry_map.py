"""Results of local symmetry are saved, read back, drawn and given to HyperSpy."""

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis, Signal
from emcore.datasets import crystal_grains, moving_boundary
from emcore.reporting.pages import pages

SETTINGS = {"window": 9, "patch": 8, "stride": 4, "n_regions": 2}


def calibrated(image):
    frames = (Axis("time", image.shape[0], 0.5, units="s", navigation=True),) if image.ndim == 3 else ()
    return Signal(
        image, (*frames, *(Axis(n, size, 0.02, 1.0, "nm") for n, size in zip("yx", image.shape[-2:], strict=True)))
    )


@pytest.fixture(scope="module")
def results():
    image = crystal_grains((100, 120), period=8.0).image
    image[:, :3] = np.nan
    frames = calibrated(moving_boundary(3, (90, 120), period=8.0).frames)
    turned = {"patch": 12, "stride": 3, "n_regions": 2}
    return {
        "translation": emcore.local_symmetry(calibrated(image), **SETTINGS),
        "pooled": emcore.local_symmetry(image[:, 3:], pool="max", **SETTINGS),
        "rotation": emcore.local_symmetry(image[:, 3:], "rotation", **turned),
        "reflection": emcore.local_symmetry(image[:, 3:], "reflection", **turned),
        "series": emcore.local_symmetry_series(frames, **SETTINGS),
    }


NAMES = ["translation", "pooled", "rotation", "reflection", "series"]


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_result_is_read_back_equal(results, name, tmp_path):
    pytest.importorskip("h5py")
    assert emcore.load_result(results[name].save(tmp_path / "a.h5")) == results[name]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_page_lies_outside_it(results, name):
    for page in [*pages(results[name]), results[name].plot()]:
        width, height = page.get_size_inches()
        for axes in page.axes:
            inches = axes.get_tightbbox().transformed(page.dpi_scale_trans.inverted())
            assert inches.x0 > 0.1
            assert inches.x1 < width
            assert inches.y0 > 0.05
            assert inches.y1 < height


@pytest.mark.parametrize("name", NAMES)
def test_a_report_is_written(results, name, tmp_path):
    assert results[name].report(tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_regions_are_named_with_their_share_and_lattice(results):
    first = next(pages(results["translation"]))
    words = "\n".join(text.get_text() for axes in first.axes for text in axes.texts)
    words += "\n".join(text.get_text() for text in first.texts)
    for share in results["translation"].share:
        assert f"{100 * share:.1f} %" in words
    assert "±" in words
    assert "0.02" in words or "20 pm" in words


def test_labels_and_maps_are_calibrated_hyperspy_signals(results):
    pytest.importorskip("hyperspy")
    signals = results["translation"].to_hyperspy()
    labels = signals["labels"].axes_manager.signal_axes
    assert [(axis.name, axis.units, axis.offset) for axis in labels] == [("x", "nm", 1.0), ("y", "nm", 1.0)]
    assert signals["maps"].axes_manager.signal_axes[0].scale == pytest.approx(0.08)
    series = results["series"].to_hyperspy()["labels"].axes_manager.navigation_axes[0]
    assert (series.name, series.units, series.scale) == ("frame", "s", 0.5)


def test_labels_are_label_images_of_ome_zarr(results, tmp_path):
    pytest.importorskip("zarr")
    result = results["translation"]
    store = result.to_ome_zarr(tmp_path / "a.ome.zarr")
    assert np.array_equal(emcore.read(store, dataset="labels/labels").data, result.labels + 1)
