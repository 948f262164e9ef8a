"""An HDF5 file shows nothing of files that do not lie beside it."""

import h5py
import numpy as np
import pytest

import emcore

DATA = np.arange(48, dtype=np.uint16).reshape(6, 8)


def linked(path, target):
    with h5py.File(path, "w") as file:
        file["a/b"] = h5py.ExternalLink(target, "data")


def stored_elsewhere(path, target):
    with h5py.File(path, "w") as file:
        file.create_dataset("a/b", (6, 8), "u2", external=[(target, 0, h5py.h5f.UNLIMITED)])


def virtual(path, target):
    layout = h5py.VirtualLayout((6, 8), "u2")
    layout[:] = h5py.VirtualSource(target, "data", (6, 8))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("a/b", layout)


def beside(folder, name="other.h5"):
    with h5py.File(folder / name, "w") as file:
        file["data"] = DATA
        offset = file["data"].id.get_offset()
    raw = (folder / name).read_bytes()[offset : offset + DATA.nbytes]
    (folder / "other.raw").write_bytes(raw)


WAYS = {
    "a link": (linked, "other.h5"),
    "storage": (stored_elsewhere, "other.raw"),
    "a virtual set": (virtual, "other.h5"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("lazy", [False, True])
def test_what_lies_elsewhere_is_refused(way, whole, lazy, tmp_path):
    make, name = WAYS[way]
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    beside(outside)
    make(inside / "file.h5", str(outside / name) if whole else f"../outside/{name}")
    with pytest.raises(ValueError, match=r"file.h5: a/b takes its values from .*outside the folder of the file"):
        emcore.read(inside / "file.h5", lazy=lazy)


@pytest.mark.parametrize("way", WAYS)
def test_what_lies_beside_the_file_is_read(way, tmp_path, monkeypatch):
    make, name = WAYS[way]
    beside(tmp_path)
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "file.h5", name)
    np.testing.assert_array_equal(np.asarray(emcore.read(tmp_path / "file.h5").data), DATA)


def test_a_file_that_is_linked_to_may_not_link_elsewhere_either(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    beside(tmp_path, "secret.h5")
    with h5py.File(inside / "middle.h5", "w") as file:
        file["data"] = h5py.ExternalLink("../secret.h5", "data")
    linked(inside / "file.h5", "middle.h5")
    with pytest.raises(ValueError, match=r"middle.h5: data takes its values from ../secret.h5"):
        emcore.read(inside / "file.h5")


def test_a_link_that_a_folder_of_links_hides_is_seen_through(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    beside(outside)
    (inside / "here.h5").symlink_to(outside / "other.h5")
    linked(inside / "file.h5", "here.h5")
    with pytest.raises(ValueError, match="outside the folder of the file"):
        emcore.read(inside / "file.h5")


def test_files_that_link_to_each_other_end(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        with h5py.File(tmp_path / f"{one}.h5", "w") as file:
            file["own"], file["theirs"] = DATA, h5py.ExternalLink(f"{other}.h5", "own")
    assert emcore.read(tmp_path / "a.h5").shape == (6, 8)
