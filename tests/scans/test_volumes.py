"""Which three axes are a volume."""

import numpy as np
import pytest

from emcore.core.signals import Axis, Signal
from emcore.io.read import as_signal
from emcore.scans.volumes import select_volume, suits_volume


def signal(*axes, **settings):
    data = np.arange(np.prod([axis.size for axis in axes])).reshape([axis.size for axis in axes])
    return Signal(data, axes, **settings)


def lengths(*names, scale=2.0):
    return tuple(Axis(name, 4 + i, scale, units="nm") for i, name in enumerate(names))


def test_three_axes_of_an_array_are_a_volume_in_their_order():
    volume = select_volume(as_signal(np.zeros((4, 5, 6))))
    assert [(axis.name, axis.units, axis.navigation) for axis in volume.axes] == [(n, "px", False) for n in "zyx"]
    assert volume.notes == ("axes: volume along axes 0, 1, 2, by the order of the axes",)


def test_names_say_which_axis_is_which():
    given = signal(*lengths("x", "y", "z"))
    volume = select_volume(given)
    assert volume.shape == (6, 5, 4)
    np.testing.assert_array_equal(volume.data, given.data.T)
    assert "by their names" in volume.notes[0]


def test_lengths_in_other_units_become_one():
    volume = select_volume(signal(Axis("z", 4, 0.002, units="um"), *lengths("y", "x")))
    assert [axis.scale for axis in volume.axes] == [2.0, 2.0, 2.0]
    assert len(volume.notes) == 1


def test_voxels_that_are_no_cubes_are_said():
    volume = select_volume(signal(Axis("z", 4, 5.0, units="nm"), *lengths("y", "x")))
    assert "2 nm × 2 nm × 5 nm" in volume.notes[1]


def test_a_stack_whose_depth_is_not_known_is_in_voxels():
    volume = select_volume(signal(Axis("frame", 4, navigation=True), *lengths("y", "x"), flagged=True))
    assert {axis.units for axis in volume.axes} == {"px"}
    assert {axis.scale for axis in volume.axes} == {1.0}


def test_axes_of_one_point_are_left_out():
    assert select_volume(as_signal(np.zeros((1, 4, 1, 5, 6)))).shape == (4, 5, 6)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ((Axis("Energy", 4, 0.5, units="eV"), *lengths("y", "x")), "'Energy' is no length"),
        ((Axis("tilt", 4, 2.0, units="deg"), *lengths("y", "x")), "'tilt' is no length"),
        ((Axis("time", 4, 2.0, units="s"), *lengths("y", "x")), "'time' is no length"),
        ((Axis("x", 4), Axis("ky", 5), Axis("kx", 6)), "holds patterns"),
        ((*lengths("y", "x"), Axis("colour", 3)), "is in colour"),
        (lengths("y", "x"), "has 2 axes, no volume"),
        ((Axis("time", 4), *lengths("z", "y", "x")), r"has 4 axes, no volume: .*array\[0\]"),
    ],
)
def test_what_is_no_volume_is_refused_with_its_axes(axes, said):
    given = signal(*axes)
    assert suits_volume(given) == 0
    with pytest.raises(ValueError, match=said):
        select_volume(given)


def test_a_calibrated_volume_suits_better():
    assert suits_volume(signal(*lengths("z", "y", "x"))) == 2
    assert suits_volume(as_signal(np.zeros((4, 5, 6)))) == 1
    assert suits_volume(as_signal(np.zeros((4, 5, 6), dtype=complex))) == 0


def test_a_volume_in_a_file_that_would_have_to_be_transposed_is_refused():
    class InFile:
        shape, dtype, ndim = (4, 5, 6), np.dtype("u1"), 3

    with pytest.raises(ValueError, match="left in the file"):
        select_volume(Signal(InFile(), lengths("x", "y", "z")))


def test_a_volume_of_which_one_axis_has_no_length_is_in_voxels_and_says_so():
    lengths = [Axis(name, 5, 2.0, 0.0, "nm") for name in "yx"]
    volume = select_volume(Signal(np.zeros((5, 5, 5)), (Axis("z", 5), *lengths)))
    assert [(axis.scale, axis.units) for axis in volume.axes] == [(1.0, "px")] * 3
    assert any("no length along z" in note for note in volume.notes)
    bare = select_volume(Signal(np.zeros((5, 5, 5)), tuple(Axis(name, 5) for name in "zyx")))
    assert not any("no length" in note for note in bare.notes)
