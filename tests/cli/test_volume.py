"""`emcore volume`: a volume, a folder of slices, a folder of volumes."""

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.datasets import quasi_ordered_volume

pytest.importorskip("matplotlib")
pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def volume():
    return quasi_ordered_volume((24, 24, 40), ("primitive", "tubules"), 2, spacing=4.5, layout="blocks").volume


def test_a_volume_becomes_a_report_and_a_results_file(volume, tmp_path, capsys):
    np.save(tmp_path / "sponge.npy", volume)
    settings = ["--window", "16", "--step", "4", "--output", str(tmp_path), "--labels", str(tmp_path / "stores")]
    assert main(["volume", str(tmp_path / "sponge.npy"), *settings]) == 0
    said = capsys.readouterr().out
    assert "sponge.npy: 2 textures in 2 oriented classes" in said
    assert "40 × 24 × 24 voxels" in said
    result = emcore.load_result(tmp_path / "sponge.volume.h5")
    assert result.n_textures == 2
    assert (tmp_path / "sponge.volume.pdf").exists()
    assert emcore.read(result.labels_path, dataset="labels/textures").shape == volume.shape


def test_a_folder_of_slices_is_one_volume_and_one_of_volumes_several(volume, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    slices, volumes, out = (tmp_path / name for name in ("slices", "volumes", "out"))
    for folder in (slices, volumes):
        folder.mkdir()
    for i, plane in enumerate(volume):
        tifffile.imwrite(slices / f"{i}.tif", plane)
    tifffile.imwrite(volumes / "stack.tif", volume)
    settings = ["--window", "16", "--output", str(out), "--quiet"]
    assert main(["volume", str(slices), str(volumes), *settings]) == 0
    assert sorted(path.name for path in out.glob("*.h5")) == ["slices.volume.h5", "stack.volume.h5"]


def test_a_missing_slice_is_said(volume, tmp_path, capsys):
    tifffile = pytest.importorskip("tifffile")
    for i, plane in enumerate(volume):
        if i != 7:
            tifffile.imwrite(tmp_path / f"{i}.tif", plane)
    assert main(["volume", str(tmp_path), "--window", "16", "--output", str(tmp_path / "out")]) == 1
    assert "lacks slice 7, after 6.tif" in capsys.readouterr().err


def test_options_that_exclude_each_other_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["volume", "a.tif", "--clusters", "3"])
    assert "--clusters goes with --method mixture or kmeans" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["volume", "a.tif", "--phase", "light"])
    assert "--phase" in capsys.readouterr().err
