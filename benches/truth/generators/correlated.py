"""
Scans on which diffraction patterns and X-ray spectra were taken together, some of whose phases only both tell apart.

Patterns are kinematic (diffsims: structure factors, excitation errors of a foil that is bent), spectra are espm's of
the same phases (characteristic lines, bremsstrahlung, absorption); both are Poisson-distributed counts. Consecutive
phases share their crystal or their composition, so that neither signal alone tells all apart.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from arguments import parsed
from diffpy.structure import Atom, Lattice, Structure
from diffsims.generators.simulation_generator import SimulationGenerator
from espm.models.edxs import EDXS
from orix.crystal_map import Phase
from orix.quaternion import Rotation
from scipy.ndimage import gaussian_filter

SIDE, DETECTOR = 52, 32
# Of the detector, in 1/Angstrom for a pixel; radius of a disc in pixels.
PER_PIXEL, DISC = 0.075, 1.1
# Tilts at which patterns are computed on either axis; between them they are interpolated.
TILTS = 9

FCC = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
BCC = [(0, 0, 0), (0.5, 0.5, 0.5)]


def _atoms(*sites: tuple[str, list[tuple[float, float, float]]]) -> list[Atom]:
    return [Atom(element, place) for element, places in sites for place in places]


# Space group, lattice and atoms.
CRYSTALS = {
    "aluminium": (225, Lattice(4.05, 4.05, 4.05, 90, 90, 90), _atoms(("Al", FCC))),
    "nickel": (225, Lattice(3.52, 3.52, 3.52, 90, 90, 90), _atoms(("Ni", FCC))),
    "iron": (229, Lattice(2.87, 2.87, 2.87, 90, 90, 90), _atoms(("Fe", BCC))),
    "nickel aluminide": (221, Lattice(2.89, 2.89, 2.89, 90, 90, 90), _atoms(("Ni", BCC[:1]), ("Al", BCC[1:]))),
    "trinickel aluminide": (221, Lattice(3.57, 3.57, 3.57, 90, 90, 90), _atoms(("Al", FCC[:1]), ("Ni", FCC[1:]))),
    "magnesia": (
        225,
        Lattice(4.21, 4.21, 4.21, 90, 90, 90),
        _atoms(("Mg", FCC), ("O", [(x + 0.5, y, z) for x, y, z in FCC])),
    ),
    "titanate": (
        221,
        Lattice(3.905, 3.905, 3.905, 90, 90, 90),
        _atoms(("Sr", BCC[:1]), ("Ti", BCC[1:]), ("O", [(0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)])),
    ),
    "titanium": (194, Lattice(2.95, 2.95, 4.68, 90, 90, 120), _atoms(("Ti", [(1 / 3, 2 / 3, 1 / 4)]))),
    "silicon": (
        227,
        Lattice(5.43, 5.43, 5.43, 90, 90, 90),
        _atoms(("Si", FCC + [(x + 0.25, y + 0.25, z + 0.25) for x, y, z in FCC])),
    ),
}
COMPOSITIONS = [
    {"Fe": 0.7, "Co": 0.3},
    {"Fe": 0.3, "Co": 0.7},
    {"Ni": 0.75, "Al": 0.25},
    {"Ni": 0.5, "Al": 0.5},
    {"Ti": 0.9, "Al": 0.1},
    {"Ti": 0.6, "Si": 0.4},
    {"Fe": 0.5, "Si": 0.5},
    {"Mg": 0.5, "O": 0.5},
    {"Sr": 0.2, "Ti": 0.2, "O": 0.6},
    {"Cr": 0.5, "Ni": 0.5},
]


@dataclass(frozen=True)
class Case:
    """
    phases; counts: X-rays a position; electrons: in a pattern; bend: degrees either way; balance: "even", "uneven",
    or the share of the smallest; overlap: how far phases reach into each other, in positions; contrast: below 1,
    compositions are mixed with their mean.
    """

    phases: int
    counts: float
    electrons: float
    bend: float = 0.3
    balance: float | str = "even"
    overlap: float = 0.5
    contrast: float = 1.0


CASES = {
    "two": Case(2, 200, 2000),
    "three": Case(3, 200, 2000, 0.5, "uneven"),
    "four": Case(4, 200, 4000, 0.5),
    "four_bent": Case(4, 300, 8000, 1.6),
    "four_dim": Case(4, 50, 500, 0.3),
    "three_faint": Case(3, 20, 200, 0.2),
    "five_small": Case(5, 400, 4000, 0.5, 0.015),
    "three_small": Case(3, 300, 3000, 0.8, 0.02),
    "six": Case(6, 300, 4000, 0.6, "uneven"),
    "seven": Case(7, 600, 6000, 0.4),
    "nine": Case(9, 1000, 10000, 0.4),
    "eight_bent": Case(8, 800, 20000, 1.2, "uneven"),
    "alike": Case(4, 600, 6000, 0.5, "even", 0.5, 0.35),
    "blurred": Case(4, 500, 5000, 0.5, "uneven", 1.2),
}


def main() -> None:
    args = parsed(__doc__)
    for name, case in CASES.items():
        if args.only in name:
            rng = np.random.default_rng([zlib.crc32(name.encode()), args.seed])
            np.savez_compressed(args.out / f"{name}.npz", **made(case, rng))


def made(case: Case, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Patterns, spectra and labels of a case, whose dose, bending and pairs of phases vary with the stream."""
    dose = rng.uniform(0.8, 1.25)
    bend = case.bend * rng.uniform(0.7, 1.3)
    pairs = _pairs(case.phases, rng)
    labels = _regions(case, rng)
    shares = np.stack([gaussian_filter((labels == i).astype(float), case.overlap) for i in range(case.phases)])
    shares /= shares.sum(axis=0)
    wave = _smooth(rng)
    thickness = 1 + 0.15 * wave
    tilts = bend * np.stack([_smooth(rng), _smooth(rng)])

    crystals = rng.permutation(list(CRYSTALS))
    turns = {name: Rotation.from_euler([rng.uniform(0, 360), 0, 0], degrees=True) for name in crystals}
    patterns = np.zeros((SIDE, SIDE, DETECTOR, DETECTOR))
    for crystal in sorted({crystal for crystal, _ in pairs}):
        share = sum(shares[i] for i, pair in enumerate(pairs) if pair[0] == crystal)
        name = str(crystals[crystal])
        patterns += share[..., None, None] * _diffraction(name, turns[name], bend, tilts)
    radius = np.hypot(*(np.mgrid[:DETECTOR, :DETECTOR] - (DETECTOR - 1) / 2))
    diffuse = np.exp(-radius / (0.25 * DETECTOR))
    patterns = 0.7 * patterns + 0.3 * diffuse / diffuse.sum()
    patterns = rng.poisson(case.electrons * dose * thickness[..., None, None] * patterns).astype(np.uint16)

    chosen = rng.permutation(len(COMPOSITIONS))
    pure = _spectra([COMPOSITIONS[chosen[composition]] for _, composition in pairs])
    pure = case.contrast * pure + (1 - case.contrast) * pure.mean(axis=0)
    expected = np.einsum("kyx,ke->yxe", shares, pure) * thickness[..., None]
    spectra = rng.poisson(case.counts * dose * expected).astype(np.uint16)
    return {"patterns": patterns, "spectra": spectra, "labels": shares.argmax(axis=0).astype(np.int32)}


def _pairs(phases: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Crystal and composition of each phase: from one to the next only one of both is another."""
    crystal = composition = 0
    pairs = [(0, 0)]
    other = bool(rng.integers(2))
    while len(pairs) < phases:
        crystal, composition = crystal + other, composition + (not other)
        pairs.append((int(crystal), int(composition)))
        other = not other
    return pairs


def _regions(case: Case, rng: np.random.Generator) -> np.ndarray:
    """Patches around random places, dealt to the phases by the area each is to have; a small phase in discs."""
    size = SIDE * SIDE
    small = 0.0 if isinstance(case.balance, str) else case.balance
    large = case.phases - bool(small)
    wanted = rng.dirichlet(np.full(large, 4.0)) if case.balance == "uneven" else np.full(large, 1 / large)
    wanted = np.maximum(wanted, 0.4 / large)
    wanted *= size / wanted.sum()
    y, x = np.mgrid[:SIDE, :SIDE]
    y = y + 2.0 * np.sin(x / 6 + rng.uniform(0, 6))
    places = rng.uniform(0, SIDE, (5 * large, 2))
    patches = ((y[..., None] - places[:, 0]) ** 2 + (x[..., None] - places[:, 1]) ** 2).argmin(axis=-1)
    phase = np.zeros(len(places), dtype=int)
    left = wanted.copy()
    for patch in np.argsort(-np.bincount(patches.ravel(), minlength=len(places)), kind="stable"):
        phase[patch] = int(left.argmax())
        left[phase[patch]] -= np.count_nonzero(patches == patch)
    labels = phase[patches]
    if small:
        y, x = np.mgrid[:SIDE, :SIDE]
        while np.mean(labels == large) < small:
            center, radius = rng.uniform(4, SIDE - 4, 2), rng.uniform(1.8, 2.6)
            labels[(y - center[0]) ** 2 + (x - center[1]) ** 2 < radius**2] = large
    return labels


def _smooth(rng: np.random.Generator) -> np.ndarray:
    """A slow variation over the scan, from -1 to 1."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    fy, fx, phase, slope = rng.uniform(0.3, 0.9), rng.uniform(0.3, 0.9), rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
    wave = np.sin(2 * np.pi * (fy * y + fx * x) + phase) + slope * (y - x)
    wave -= wave.mean()
    return wave / np.abs(wave).max()


def _diffraction(name: str, turn: Rotation, bend: float, tilts: np.ndarray) -> np.ndarray:
    """Patterns of a crystal at tilts in degrees, shape (2, y, x), each of one electron in all."""
    group, lattice, atoms = CRYSTALS[name]
    phase = Phase(name=name, space_group=group, structure=Structure(atoms, lattice))
    generator = SimulationGenerator(200, minimum_intensity=1e-6)
    steps = np.linspace(-bend, bend, TILTS)
    grid = np.empty((TILTS, TILTS, DETECTOR, DETECTOR))
    for i, first in enumerate(steps):
        for j, second in enumerate(steps):
            tilt = Rotation.from_axes_angles([[1, 0, 0]], np.deg2rad(first)) * Rotation.from_axes_angles(
                [[0, 1, 0]], np.deg2rad(second)
            )
            found = generator.calculate_diffraction2d(
                phase, tilt * turn, reciprocal_radius=1.3, with_direct_beam=False, max_excitation_error=0.03,
                shape_factor_width=0.02,
            )  # fmt: skip
            grid[i, j] = _drawn(np.asarray(found.coordinates.data)[:, :2], np.asarray(found.coordinates.intensity))
    grid /= grid.sum(axis=(-2, -1)).mean()
    grid = 0.5 * grid + 0.5 * _drawn(np.zeros((1, 2)), np.ones(1))
    place = np.clip((tilts + bend) / (2 * bend) * (TILTS - 1), 0, TILTS - 1 - 1e-9)
    low = place.astype(int)
    part = (place - low)[..., None, None]
    (i, j), (p, q) = low, part
    first = (1 - q) * grid[i, j] + q * grid[i, j + 1]
    second = (1 - q) * grid[i + 1, j] + q * grid[i + 1, j + 1]
    return (1 - p) * first + p * second


def _drawn(places: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """Discs with soft edges at places in 1/Angstrom."""
    y, x = np.mgrid[:DETECTOR, :DETECTOR] - (DETECTOR - 1) / 2
    pattern = np.zeros((DETECTOR, DETECTOR))
    for (kx, ky), strength in zip(places / PER_PIXEL, strengths, strict=True):
        pattern += strength * np.clip(DISC + 0.5 - np.hypot(y - ky, x - kx), 0, 1)
    return pattern / (np.pi * DISC**2)


def _spectra(compositions: list[dict[str, float]]) -> np.ndarray:
    """Spectra from 0.2 to 12 keV, each of one count in all."""
    absorption = {"thickness": 1e-5, "toa": 22, "density": None, "atomic_fraction": False}
    model = EDXS(
        e_offset=0.2, e_size=295, e_scale=0.04, width_slope=0.01, width_intercept=0.065, db_name="200keV_xrays.json",
        E0=200,
        params_dict={"Det": "SDD_efficiency.txt", "Abs": absorption},
    )  # fmt: skip
    model.generate_phases([{"b0": 5e-5, "b1": 2e-3, "elements_dict": dict(each)} for each in compositions])
    return np.asarray(model.phases)


if __name__ == "__main__":
    main()
