"""The page on pyxem and orix does what it says: grains of a scan are indexed from their mean patterns."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emcore
from emcore.core.signals import Axis, Signal

pytest.importorskip("pyxem")

PAGE = Path(__file__).parents[2] / "docs/how-to/pyxem.md"
SIDE, SCALE, RADIUS = 64, 0.05, 1.5  # pixels, 1/angstrom


def blocks() -> list[str]:
    """The pieces of code on the page."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def scan_of(simulated: Any, labels: np.ndarray) -> Signal:
    """Electrons counted in patterns of grains, with a direct beam, the middle of the detector between two pixels."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    expected = []
    for i in range(3):
        spots = simulated.irot[i].coordinates
        places = zip(spots.data[:, :2] / SCALE, spots.intensity, strict=True)
        pattern = sum(intensity * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 2) for at, intensity in places)
        expected.append(30 * pattern / pattern.max() + 200 * np.exp(-(x**2 + y**2) / 8) + 0.05)
    values = np.random.default_rng(0).poisson(np.stack(expected)[labels]).astype("u2")
    scan = [Axis(name, size, 2.0, units="nm", navigation=True) for name, size in zip("yx", labels.shape, strict=True)]
    middle = -SCALE * (SIDE - 1) / 2
    known = {"signal_type": "electron_diffraction", "Acquisition_instrument": {"TEM": {"beam_energy": 200.0}}}
    axes = *scan, *(Axis(name, SIDE, SCALE, middle, "1/A") for name in ("ky", "kx"))
    return Signal(values, axes, metadata={"instrument": known})


@pytest.fixture(scope="module")
def indexed(tmp_path_factory) -> dict[str, Any]:
    """What the page computes, and the truth: three grains of nickel along the scan."""
    from diffpy.structure import Atom, Lattice, Structure
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.crystal_map import Phase
    from orix.sampling import get_sample_reduced_fundamental

    nickel = Structure([Atom("Ni", [0, 0, 0])], Lattice(3.52, 3.52, 3.52, 90, 90, 90))
    phase = Phase("Ni", space_group=225, structure=nickel)
    truth = get_sample_reduced_fundamental(resolution=2, point_group=phase.point_group)[[0, 75, 150]]
    settings = {"reciprocal_radius": RADIUS, "max_excitation_error": 0.05, "with_direct_beam": False}
    simulated = SimulationGenerator(200).calculate_diffraction2d(phase, rotation=truth, **settings)
    labels = np.repeat(np.arange(3), 5)[None].repeat(12, axis=0)
    names: dict[str, Any] = {"phase": phase, "truth": truth, "where": labels}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.chdir(tmp_path_factory.mktemp("pyxem"))
        scan_of(simulated, labels).to_hyperspy().save("scan.hspy")
        for block in blocks():
            exec(compile(block, str(PAGE), "exec"), names)
    return names


def test_what_was_read_and_its_grains_are_electron_diffraction(indexed):
    result = indexed["result"]
    assert isinstance(result, emcore.results.segmentation.Segmentation)
    for patterns in (indexed["patterns"], result.to_hyperspy()["signals"]):
        assert type(patterns).__name__ == "ElectronDiffraction2D"
        assert patterns.beam_energy == 200
        assert patterns.axes_manager.signal_axes[0].scale == SCALE


def test_grains_have_the_zone_axis_that_their_patterns_were_made_with(indexed):
    from orix.vector import Vector3d

    point_group = indexed["phase"].point_group

    def zone_axes(rotations: Any) -> Vector3d:
        along = ~rotations * Vector3d.zvector()
        return along.in_fundamental_sector(point_group)

    result, where = indexed["result"], indexed["where"]
    grain = [np.bincount(where[result.labels == k]).argmax() for k in range(result.n_grains)]
    assert sorted(grain) == [0, 1, 2]
    apart = np.rad2deg(zone_axes(indexed["best"]).angle_with(zone_axes(indexed["truth"])[grain]))
    assert apart.max() < 4.1  # two steps between templates


def test_the_crystal_map_has_the_positions_of_the_scan(indexed):
    crystal_map, labels = indexed["crystal_map"], indexed["result"].labels
    assert crystal_map.shape == labels.shape
    assert (crystal_map.dx, crystal_map.dy) == pytest.approx((2, 2))
    assert crystal_map.phases[0].name == "Ni"
    same = crystal_map.rotations.data == indexed["best"][labels.ravel()].data
    assert same.all()
