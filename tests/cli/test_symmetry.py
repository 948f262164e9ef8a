"""`emcore symmetry`: images, stacks and folders of frames."""

import numpy as np
import pytest

import emcore
from emcore.cli import main
from emcore.datasets import crystal_grains, moving_boundary

SIZES = ["--window", "9", "--patch", "8", "--stride", "4", "--regions", "2"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    frames = moving_boundary(3, (90, 120), period=8.0).frames
    np.save(tmp_path / "grains.npy", crystal_grains((100, 120), period=8.0).image)
    np.save(tmp_path / "stack.npy", frames)
    (tmp_path / "frames").mkdir()
    for i, image in enumerate(frames):
        np.save(tmp_path / "frames" / f"f{i}.npy", image)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_image_and_a_stack_are_told_apart_and_it_is_said_what_was_decided(folder, capsys):
    assert main(["symmetry", "grains.npy", "stack.npy", *SIZES, "--output", "out"]) == 0
    said = capsys.readouterr().out
    assert "grains.npy: 2 regions\n" in said
    assert "stack.npy: 2 regions in 3 frames" in said
    assert "a stack of 3 frames: regions are those of frame 0" in said
    assert "2 of 2 files done" in said
    made = sorted(path.name for path in (folder / "out").iterdir())
    assert made == [
        "grains.symmetry.h5",
        "grains.symmetry.pdf",
        "stack.symmetry.h5",
        "stack.symmetry.pdf",
        "stack_areas.csv",
    ]
    assert isinstance(emcore.load_result("out/stack.symmetry.h5"), emcore.SymmetrySeries)
    assert (folder / "out" / "stack_areas.csv").read_text().startswith("frame,region 1,region 2\n0,")


def test_one_frame_of_a_stack_is_an_image(folder, capsys):
    assert main(["symmetry", "stack.npy", "--frame", "1", *SIZES]) == 0
    assert isinstance(emcore.load_result("stack.symmetry.h5"), emcore.SymmetryMap)
    assert "frame 1 of 3" in capsys.readouterr().out


def test_a_folder_is_as_many_images_or_one_series(folder, capsys):
    assert main(["symmetry", "frames", *SIZES, "--output", "each", "--quiet"]) == 0
    assert len(list((folder / "each").glob("*.h5"))) == 3
    assert main(["symmetry", "frames", "--frames", "--reference", "2", *SIZES, "--output", "one"]) == 0
    assert sorted(path.name for path in (folder / "one").iterdir()) == [
        "frames.symmetry.h5",
        "frames.symmetry.pdf",
        "frames_areas.csv",
    ]
    assert emcore.load_result("one/frames.symmetry.h5").reference == 2
    assert main(["symmetry", "frames/f0.npy", "frames/f2.npy", "--frames", *SIZES, "--output", "two", "--quiet"]) == 0
    assert len(emcore.load_result("two/f0.symmetry.h5").labels) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--score", "shift"], "--score"),
        (["--pool", "mean"], "--pool"),
        (["--frames", "--frame", "1"], "leave one out"),
        (["--regions", "0"], "neither auto nor"),
        (["--stride", "0"], "whole number"),
    ],
)
def test_wrong_words_are_refused(folder, capsys, words, message):
    with pytest.raises(SystemExit) as ended:
        main(["symmetry", "grains.npy", *words])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_what_cannot_be_analysed_is_told_and_the_others_are_done(folder, capsys):
    np.save("flat.npy", np.ones((60, 60)))
    np.save("frames/odd.npy", np.ones((60, 60)))
    assert main(["symmetry", "flat.npy", "grains.npy", *SIZES]) == 1
    assert main(["symmetry", "frames", "--frames", *SIZES]) == 1
    assert main(["symmetry", "grains.npy", "--patch", "1 nm", "--force"]) == 1
    said = capsys.readouterr().err
    assert "flat.npy: image is constant" in said
    assert "frame 3 (odd.npy) is 60 x 60 px, frame 0 90 x 120 px" in said
    assert "no calibration" in said
    assert not list(folder.glob("frames*.h5"))
    assert not list(folder.glob("*.csv"))
