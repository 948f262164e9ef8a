"""Images that are lazy or stored, power spectra for which there is no room, and analyses that were killed."""

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.core.memory import in_words
from emcore.datasets import lattice_micrograph
from emcore.outofcore import scratch
from emcore.workflows import image as workflow

OPTIONS = {"window": 64, "step": 32}


@pytest.fixture(scope="module")
def micrograph():
    return lattice_micrograph((384, 512), spacings=(7, 12), directions=(20, 110), dtype="uint16").image


@pytest.fixture(scope="module")
def result(micrograph):
    return emcore.analyze_image(micrograph, **OPTIONS)


@pytest.fixture
def left_as(tmp_path):
    """A function that leaves an image where it is stored."""

    def leave(kind, image):
        if kind == "map":
            np.save(tmp_path / "image.npy", image)
            return np.load(tmp_path / "image.npy", mmap_mode="r")
        if kind == "hdf5":
            h5py = pytest.importorskip("h5py")
            with h5py.File(tmp_path / "image.h5", "w") as file:
                file.create_dataset("image", data=image, chunks=(100, 100), compression="gzip")
            return h5py.File(tmp_path / "image.h5")["image"]
        if kind == "zarr":
            return pytest.importorskip("zarr").create_array(tmp_path / "image.zarr", data=image, chunks=(100, 100))
        if kind == "hyperspy":
            return pytest.importorskip("hyperspy.api").signals.Signal2D(image).as_lazy()
        return pytest.importorskip("dask.array").from_array(image, chunks=(100, 120))

    return leave


@pytest.mark.parametrize("kind", ["map", "hdf5", "zarr", "dask", "hyperspy"])
def test_a_stored_image_and_spectra_on_disk_give_the_same_bits(micrograph, result, left_as, kind, capsys, same):
    observed = emcore.analyze_image(left_as(kind, micrograph), memory="4 MiB", **OPTIONS)
    assert same(observed, result, but=("provenance", "image"))
    assert np.array_equal(observed.image.data, result.image.data)
    size = in_words(4 * 11 * 15 * 64 * 33)
    said = f"power spectra of 11 x 15 windows, {size}"
    assert f"{said}, were kept in a scratch file" in observed.provenance.notes
    assert f"emcore: {said}, in a scratch file; predicted peak memory 3.4 MiB" in capsys.readouterr().err


def test_with_room_spectra_stay_in_memory_and_nothing_is_said(micrograph, result, same, capsys):
    assert same(emcore.analyze_image(micrograph, **OPTIONS), result)
    assert capsys.readouterr().err == ""
    assert same(emcore.analyze_image(micrograph, memory="8 MiB", **OPTIONS), result)
    assert "windows, 1.4 MiB, in memory; predicted peak memory 4.7 MiB" in capsys.readouterr().err


def test_a_lazy_image_beyond_half_of_the_budget_is_refused_with_what_it_needs(micrograph, left_as, result):
    lazy = left_as("dask", micrograph)
    with pytest.raises(MemoryError, match=r"its analysis needs all of the image in memory, 384 KiB, more than half of"):
        emcore.analyze_image(lazy, memory="700 KiB", **OPTIONS)
    stack = pytest.importorskip("dask.array").stack([lazy] * 9)  # of which one is loaded
    observed = emcore.analyze_image(stack, memory="4 MiB", **OPTIONS)
    assert np.array_equal(observed.regions, result.regions)


def test_too_little_memory_for_the_image_and_its_regions_is_refused_with_the_least(micrograph):
    with pytest.raises(MemoryError, match=r'take 3.4 MiB, more than memory=1 MiB: give memory="3.4 MiB" or more'):
        emcore.analyze_image(micrograph, memory="1 MiB", **OPTIONS)
    assert emcore.analyze_image(micrograph, memory="3.4 MiB", **OPTIONS).n_components


def test_without_room_on_disk_either_what_is_needed_is_said(micrograph, monkeypatch):
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(
        MemoryError, match=r"11 x 15 windows take 1.4 MiB, there is room for .* in memory and 1000 bytes"
    ):
        emcore.analyze_image(micrograph, memory="4 MiB", **OPTIONS)


@pytest.mark.parametrize("killed_in", ["pca", "separate", "merged", "described"])
@pytest.mark.parametrize("memory", [None, "4 MiB"])
def test_an_analysis_that_was_killed_goes_on_to_the_same_bits(
    micrograph, result, tmp_path, monkeypatch, same, killed_in, memory
):
    options = {**OPTIONS, "memory": memory, "checkpoint": tmp_path / "job.npz"}
    made = []

    def counted(name, killed):
        function = getattr(workflow, name)

        def call(*args, **kwargs):
            made.append(name)
            if killed:
                raise KeyboardInterrupt
            return function(*args, **kwargs)

        return call

    names = ["pca", "separate", "merged"]
    with monkeypatch.context() as patch:
        if killed_in == "described":  # after the last step
            patch.setattr(workflow.Provenance, "record", counted("separate", True))
        else:
            patch.setattr(workflow, killed_in, counted(killed_in, True))
        with pytest.raises(KeyboardInterrupt):
            emcore.analyze_image(micrograph, **options)
    del made[:]
    for name in names:
        monkeypatch.setattr(workflow, name, counted(name, False))
    assert same(emcore.analyze_image(micrograph, **options), result)
    before = names.index(killed_in) if killed_in in names else len(names)
    assert not set(made) & set(names[:before])  # what had ended is not made again
    changed = micrograph.copy()
    changed[100, 100] += 1
    with pytest.raises(ValueError, match=r"is of (another job|other data)"):
        emcore.analyze_image(changed, **options)
    with pytest.raises(ValueError, match="another job: random_state"):
        emcore.analyze_image(micrograph, random_state=1, **options)


def test_textures_are_found_again_after_a_kill(tmp_path, same):
    noise = np.random.default_rng(0).normal(size=(256, 512))
    coarse = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3**0.5
    both = np.where(np.arange(512) < 256, noise, coarse)
    first = emcore.analyze_image(both, 64, 16, checkpoint=tmp_path / "job.npz")
    again = emcore.analyze_image(both, 64, 16, checkpoint=tmp_path / "job.npz")
    assert first.n_components == 2
    assert same(again, first)
    assert again.provenance.notes == first.provenance.notes


@pytest.mark.linux
def test_a_scratch_file_has_no_name_and_holds_what_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    with scratch.scratch_array((100, 1000), np.float32, 0, "numbers") as (array, on_disk):
        array[:] = np.arange(1000)
        assert on_disk
        assert not list(tmp_path.iterdir())
        assert np.array_equal(array[7], np.arange(1000))


def test_the_command_takes_a_budget_and_a_checkpoint(micrograph, tmp_path, monkeypatch, capsys):
    pytest.importorskip("h5py")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    np.save("image.npy", micrograph)
    words = ["--window", "64", "--step", "32", "--memory", "4 MiB", "--checkpoint", "job.npz"]
    assert main(["image", "image.npy", *words]) == 0
    said = capsys.readouterr()
    assert "were kept in a scratch file" in said.out
    assert "predicted peak memory" in said.err
    assert (tmp_path / "job.npz").exists()
