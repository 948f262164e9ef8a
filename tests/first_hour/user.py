"""What a user does in the first hour, beyond emcore: phases to exSpy, grain patterns to pyxem and orix.

It is run by the installed wheel's Python (``make first-hour``) and checked by mypy, as a user's own script would be.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import emcore
from emcore import datasets


def map_file(folder: Path) -> Path:
    """An EDS map as HyperSpy saves it, with what it knows of the microscope."""
    import hyperspy.api as hs

    sample = datasets.eds_phases(shape=(32, 40))
    signal = hs.signals.Signal1D(np.asarray(sample.signal.data))
    signal.set_signal_type("EDS_TEM")
    for axis, own in zip(signal.axes_manager._axes, sample.signal.axes, strict=True):
        axis.name, axis.scale, axis.offset, axis.units = own.name, own.scale, own.offset, own.units
    signal.set_microscope_parameters(beam_energy=200, energy_resolution_MnKa=130)
    signal.set_elements(["Al", "Cu", "Fe"])
    path = folder / "map.hspy"
    signal.save(path)
    return path


def quantified(path: Path) -> NDArray[np.float64]:
    """Weight of Al, Cu and Fe in each phase, by exSpy, in per cent."""
    import hyperspy.api as hs

    result: emcore.Unmixing = emcore.unmix(hs.load(path))
    spectra = result.to_hyperspy()["spectra"]
    spectra.add_lines(["Al_Ka", "Cu_Ka", "Fe_Ka"])
    composition = spectra.quantification(spectra.get_lines_intensity(), method="CL", factors=[1.0, 1.5, 1.2])
    return np.stack([np.asarray(each.data, dtype=np.float64) for each in composition])


def indexed(folder: Path) -> tuple[emcore.Segmentation, float, float]:
    """Grains of an aluminium scan, and how well patterns of aluminium and of a wider cell fit theirs, by pyxem."""
    import hyperspy.api as hs
    from diffpy.structure import Atom, Lattice, Structure
    from diffsims.generators.simulation_generator import SimulationGenerator
    from orix.crystal_map import CrystalMap, Phase, PhaseList
    from orix.sampling import get_sample_reduced_fundamental

    scan = datasets.bent_polycrystal(scan_shape=(24, 32), pattern_shape=(96, 96), n_grains=5)
    result = emcore.segment_grains(scan.patterns)
    result.export_patterns(folder / "grains.hspy")
    patterns = hs.load(folder / "grains.hspy")
    assert type(patterns).__name__ == "ElectronDiffraction2D", type(patterns)
    patterns.axes_manager.convert_units("signal", "1/angstrom")
    patterns.calibration.center = None
    polar = patterns.get_azimuthal_integral2d(npt=60, show_progressbar=False)
    scores = []
    for cell in (4.05, 4.7):
        atoms = [Atom("Al", at) for at in ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))]
        phase = Phase("Al", space_group=225, structure=Structure(atoms, Lattice(cell, cell, cell, 90, 90, 90)))
        rotations = get_sample_reduced_fundamental(resolution=4, point_group=phase.point_group)
        simulation = SimulationGenerator(200).calculate_diffraction2d(
            phase, rotation=rotations, reciprocal_radius=1.2, max_excitation_error=0.05, with_direct_beam=False
        )
        found = polar.get_orientation(simulation, n_best=1, frac_keep=1, show_progressbar=False)
        scores.append(float(np.mean(found.data[:, 0, 1])))
        if cell == 4.05:
            best = found.to_rotation()[:, 0]
            y, x = np.meshgrid(*(axis.values for axis in result.image.axes), indexing="ij")
            there = result.labels >= 0
            crystal_map = CrystalMap(
                rotations=best[result.labels[there]], x=x[there], y=y[there], phase_list=PhaseList(phase)
            )
            assert crystal_map.size == there.sum()
            one = crystal_map.rotations.data[result.labels[there] == 0]
            np.testing.assert_allclose(one, np.broadcast_to(one[0], one.shape))
    return result, scores[0], scores[1]


def main(folder: Path) -> None:
    shares = quantified(map_file(folder))
    np.testing.assert_allclose(shares.sum(axis=0), 100, rtol=1e-6)
    # The phases of this map are Al, Fe with Co, and Cu.
    assert sorted(shares.argmax(axis=0)) == [0, 1, 2], shares
    print(f"exSpy: {shares.max(axis=0).round(1)} % of the main element in each phase")
    result, aluminium, other = indexed(folder)
    assert aluminium > 1.15 * other, (aluminium, other)
    print(f"pyxem: {result.n_grains} grains fit aluminium by {aluminium:.3f}, a wider cell by {other:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
