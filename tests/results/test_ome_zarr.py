"""Label images and maps of a result are an OME-Zarr store with its calibration."""

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis, Signal

zarr = pytest.importorskip("zarr", reason="needs the extra zarr")


def test_regions_and_maps_of_an_image_lie_in_one_store(make_analysis, tmp_path):
    result = make_analysis(k=3, shape=(60, 80), window=16)
    path = result.to_ome_zarr(tmp_path / "a.ome.zarr")
    root = zarr.open_group(path, mode="r")
    np.testing.assert_array_equal(root["0"][...], result.image.data)
    np.testing.assert_array_equal(root["labels/regions/0"][...], result.regions + 1)
    np.testing.assert_array_equal(root["maps/0"][...], result.maps)
    assert sorted(root.group_keys()) == ["labels", "maps"]
    maps = emcore.read(path, dataset="maps")
    y, x = maps.axes[1:]
    np.testing.assert_allclose(y.values, result.y)
    np.testing.assert_allclose(x.values, result.x)
    assert (y.units, x.units) == ("nm", "nm")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_clusters_of_curves_and_positions_without_one_are_labels(version, tmp_path):
    rng = np.random.default_rng(0)
    axes = Axis("y", 6, 2.0, units="nm", navigation=True), Axis("x", 7, 2.0, units="nm", navigation=True)
    values = np.where(np.arange(42).reshape(6, 7, 1) % 2, np.linspace(0, 1, 20), np.linspace(1, 0, 20))
    signal = Signal(values + 0.01 * rng.random((6, 7, 20)), (*axes, Axis("bias", 20, 0.1, units="V")))
    result = emcore.cluster_curves(signal, 2)
    path = result.to_ome_zarr(tmp_path / "a.zarr", version=version)
    observed = emcore.read(path, dataset="labels/labels")
    np.testing.assert_array_equal(observed.data, result.labels + 1)
    assert [(axis.scale, axis.units) for axis in observed.axes] == [(2.0, "nm")] * 2
    with pytest.raises(FileExistsError):
        result.to_ome_zarr(path)
    assert result.to_ome_zarr(path, overwrite=True) == path
