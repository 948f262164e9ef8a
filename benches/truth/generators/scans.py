"""
Scans of diffraction patterns whose grains are known: spots by diffsims, crystals by pyxem, noise of counting.

    python scans.py --seed 1 --out FOLDER        one NAME.npz per case, the same for the same seed

Every file holds

    patterns  (y, x, ky, kx) uint16, counts
    labels    (y, x) int32, the grain of each position: connected pieces, from 0 on
    groups    (y, x) int32, what the patterns tell apart: grains of one orientation and phase are one group, vacuum is
              one, amorphous material is one
    kind      (y, x) int8: 0 a crystal, 1 vacuum, 2 amorphous
    beam      (ky, kx) of the direct beam, amid the scan
    broken    (ky, kx) bool: dead rows and columns, hot pixels
    dose      counts of a pattern, on average
    bending   how far the orientation varies within a grain, degrees, from end to end

Seeds differ in numbers of grains, dose, bending, camera length and the size of the beam as well as in noise.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from arguments import parsed
from diffsims.generators.simulation_generator import SimulationGenerator
from orix.quaternion import Rotation
from pyxem.data.simulated_fe import fe_bcc_phase, fe_fcc_phase
from pyxem.data.simulated_si import si_phase
from scipy import ndimage
from scipy.spatial import cKDTree

CRYSTAL, VACUUM, AMORPHOUS = 0, 1, 2
PHASES = {"si": si_phase, "bcc": fe_bcc_phase, "fcc": fe_fcc_phase}
# 1/angstrom: how far from the Ewald sphere a reflection is seen, that of a foil of some 20 nm widened by precession.
EXCITATION = 0.04
# Orientations along the bending of a grain.
STOPS = 9
# Pieces of a grain below so many positions go to a neighbour.
SMALL = 8


@dataclass(frozen=True)
class Case:
    """One sample and microscope. Pairs are ranges that the seed draws from."""

    grains: tuple[int, int] = (10, 25)
    dose: tuple[float, float] = (2000, 6000)
    scan: tuple[int, int] = (64, 64)
    pixels: int = 64
    phases: tuple[str, ...] = ("si",)
    orientations: tuple[int, int] | None = None
    vacuum: bool = False
    amorphous: bool = False
    drift: tuple[float, float] = (0, 0)
    gap: bool = False
    bending: tuple[float, float] = (0, 0)
    spot: str = "disc"
    size: tuple[float, float] = (1.6, 2.2)
    beam: tuple[float, float] = (0.3, 0.6)
    blurred: bool = False


CASES = {
    "few_grains": Case(grains=(5, 8)),
    "many_grains": Case(grains=(32, 40), dose=(1500, 4000)),
    "two_phases": Case(grains=(12, 24), phases=("bcc", "fcc")),
    "vacuum": Case(grains=(8, 16), vacuum=True),
    "amorphous": Case(grains=(8, 16), amorphous=True),
    "drift": Case(grains=(10, 20), drift=(1.5, 4)),
    "detector_gap": Case(grains=(10, 20), gap=True),
    "low_dose": Case(grains=(8, 18), dose=(150, 400)),
    "lowest_dose": Case(grains=(6, 10), dose=(40, 90)),
    "bending": Case(grains=(8, 16), bending=(1.0, 2.5)),
    "strong_bending": Case(grains=(6, 12), bending=(2.5, 4.0), dose=(800, 3000)),
    "gaussian_beam": Case(grains=(10, 20), spot="gauss", size=(1.5, 2.5), beam=(0.5, 0.8)),
    "large_discs": Case(grains=(8, 16), scan=(48, 48), pixels=128, size=(5, 8)),
    "sharp_spots": Case(grains=(10, 20), scan=(48, 48), pixels=128, spot="gauss", size=(0.5, 0.8), dose=(600, 2000)),
    "repeated_orientations": Case(grains=(18, 30), orientations=(5, 9)),
    "everything": Case(
        grains=(10, 18),
        scan=(56, 72),
        phases=("bcc", "fcc"),
        vacuum=True,
        amorphous=True,
        drift=(0.5, 1.5),
        gap=True,
        bending=(0.5, 1.5),
        dose=(500, 2000),
        blurred=True,
    ),
}


def voronoi(shape: tuple[int, int], count: int, rng: np.random.Generator) -> np.ndarray:
    """Cells of points that keep some distance from each other."""
    apart = 0.6 * np.sqrt(shape[0] * shape[1] / count)
    points: list[np.ndarray] = []
    while len(points) < count:
        point = rng.uniform(0, shape)
        if all(np.hypot(*(point - other)) > apart for other in points):
            points.append(point)
        else:
            apart *= 0.999
    grid = np.stack(np.indices(shape), axis=-1).reshape(-1, 2)
    return cKDTree(np.array(points)).query(grid)[1].reshape(shape)


def pieces(states: np.ndarray) -> np.ndarray:
    """Connected pieces of positions of one state."""
    labels = np.zeros(states.shape, dtype=np.int32)
    count = 0
    for state in np.unique(states):
        parts, found = ndimage.label(states == state)
        labels[parts > 0] = parts[parts > 0] + count
        count += found
    return labels - 1


def without_small(states: np.ndarray) -> np.ndarray:
    """States in which every connected piece has a size: smaller ones take the state of the nearest other position."""
    while True:
        labels = pieces(states)
        small = np.bincount(labels.ravel())[labels] < SMALL
        if not small.any():
            return states
        nearest = ndimage.distance_transform_edt(small, return_distances=False, return_indices=True)
        states = states[tuple(nearest)]


def wavy(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A smooth field of mean zero and deviation one."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), 0.15 * min(shape), mode="reflect")
    return (field - field.mean()) / field.std()


def rotations(count: int, rng: np.random.Generator) -> np.ndarray:
    """Quaternions of random orientations."""
    quaternions = rng.normal(size=(count, 4))
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)


def spot(radii: np.ndarray, shape: str, size: float) -> np.ndarray:
    """A disc whose edge is a pixel wide, or a Gaussian of a deviation with a weak wide tail, as lenses make it."""
    if shape == "disc":
        return np.clip(size + 0.5 - radii, 0, 1)
    return np.exp(-0.5 * (radii / size) ** 2) + 0.01 * np.exp(-0.5 * (radii / (3 * size)) ** 2)


def crystal(phase: str, quaternions: np.ndarray, radius: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Places (ky, kx) in 1/angstrom and intensities of the reflections, for every orientation."""
    generator = SimulationGenerator(accelerating_voltage=200, minimum_intensity=1e-6)
    simulated = generator.calculate_diffraction2d(
        phase=PHASES[phase](),
        rotation=Rotation(quaternions),
        reciprocal_radius=radius,
        max_excitation_error=EXCITATION,
        with_direct_beam=False,
    )
    return [(each.data[:, 1::-1], np.asarray(each.intensity)) for each in simulated.coordinates]


class Detector:
    """Where the beam meets it, and how large spots are there."""

    def __init__(self, case: Case, rng: np.random.Generator) -> None:
        self.side = case.pixels
        self.center = (case.pixels - 1) / 2 + rng.uniform(-1.5, 1.5, size=2) * case.pixels / 64
        self.radius = rng.uniform(1.0, 1.4)
        self.scale = 0.5 * case.pixels / self.radius
        self.shape, self.size = case.spot, rng.uniform(*case.size)
        self.rows, self.columns = np.indices((case.pixels, case.pixels))

    def picture(self, places: np.ndarray, intensities: np.ndarray) -> np.ndarray:
        """Spots at places in 1/angstrom from the beam."""
        picture = np.zeros((self.side, self.side))
        for (y, x), intensity in zip(self.center + places * self.scale, intensities, strict=True):
            picture += intensity * spot(np.hypot(self.rows - y, self.columns - x), self.shape, self.size)
        return picture

    def radii(self) -> np.ndarray:
        """1/angstrom from the beam."""
        return np.hypot(self.rows - self.center[0], self.columns - self.center[1]) / self.scale


def one(picture: np.ndarray) -> np.ndarray:
    return picture / picture.sum()


def pictures(case: Case, count: int, phase_of: np.ndarray, bend: float, detector: Detector, rng) -> np.ndarray:
    """Of every orientation and stop of its bending a pattern that sums to one, shape (count, STOPS, ky, kx)."""
    stops = STOPS if bend else 1
    starts = rotations(count, rng)
    # About an axis in the plane of the foil: reflections come and go, none moves.
    directions = rng.uniform(0, 2 * np.pi, count)
    tilts = np.deg2rad(bend) * np.linspace(-0.5, 0.5, stops) if bend else np.zeros(1)
    strengths = []
    drawn = np.zeros((count, stops, case.pixels, case.pixels))
    for index in range(count):
        half = tilts / 2
        axis = np.array([np.cos(directions[index]), np.sin(directions[index])])
        turns = np.stack([np.cos(half), axis[0] * np.sin(half), axis[1] * np.sin(half), 0 * half], axis=1)
        turned = (Rotation(turns) * Rotation(starts[index : index + 1])).data.reshape(stops, 4)
        # One more, or diffsims returns no list.
        asked = np.concatenate([turned, turned[:1]])
        reflections = crystal(case.phases[phase_of[index]], asked, detector.radius * 1.3)[:stops]
        strengths.append([intensities.sum() for _, intensities in reflections])
        for stop, (places, intensities) in enumerate(reflections):
            drawn[index, stop] = detector.picture(places, intensities / intensities.sum())
    strength = np.array(strengths)
    for phase in np.unique(phase_of):
        strength[phase_of == phase] /= np.median(strength[phase_of == phase])
    beam, diffuse = rng.uniform(*case.beam), rng.uniform(0.1, 0.25)
    spots = np.clip(strength, 0.4, 1.6) * (1 - beam - diffuse)
    around = one(1 / (1 + (detector.radii() / 0.35) ** 2))
    direct = one(detector.picture(np.zeros((1, 2)), np.ones(1)))
    full = direct.sum() * detector.picture(np.zeros((1, 2)), np.ones(1)).sum()
    drawn *= (spots / full)[:, :, None, None]
    return drawn + beam * direct + diffuse * around


def empty_patterns(case: Case, detector: Detector, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Of vacuum, and of amorphous material."""
    direct = one(detector.picture(np.zeros((1, 2)), np.ones(1)))
    radii = detector.radii()
    around = one(1 / (1 + (radii / 0.35) ** 2))
    first = rng.uniform(0.28, 0.36)
    halo = np.exp(-0.5 * ((radii - first) / 0.04) ** 2) + 0.35 * np.exp(-0.5 * ((radii - 1.8 * first) / 0.07) ** 2)
    return 0.98 * direct + 0.02 * around, 0.5 * direct + 0.2 * around + 0.3 * one(halo)


def scan(case: Case, rng: np.random.Generator) -> dict[str, np.ndarray]:
    mean, known = expected(case, rng)
    counts, broken = rng.poisson(mean), np.zeros(mean.shape[2:], dtype=bool)
    if case.gap:
        counts, broken = with_gap(counts, rng)
    return {"patterns": np.minimum(counts, 65535).astype(np.uint16), **known, "broken": broken}


def expected(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What counts are drawn from, and what is known of it."""
    shape = case.scan
    detector = Detector(case, rng)
    grains = int(rng.integers(case.grains[0], case.grains[1] + 1))
    count = grains if case.orientations is None else int(rng.integers(case.orientations[0], case.orientations[1] + 1))
    bend, dose = rng.uniform(*case.bending), np.exp(rng.uniform(*np.log(case.dose)))
    phase_of = np.arange(count) % len(case.phases)
    cells = voronoi(shape, grains, rng)
    kind = np.full(shape, CRYSTAL, dtype=np.int8)
    y, x = np.indices(shape)
    if case.vacuum:
        edge = shape[1] * rng.uniform(0.15, 0.3) + 0.04 * shape[1] * wavy(shape, rng)
        kind[x < edge] = VACUUM
    if case.amorphous:
        middle, radius = rng.uniform(0.35, 0.7, size=2) * shape, rng.uniform(0.18, 0.28) * min(shape)
        inside = np.hypot(y - middle[0], x - middle[1]) < radius * (1 + 0.1 * wavy(shape, rng))
        kind[inside & (kind == CRYSTAL)] = AMORPHOUS
    orientation = np.arange(grains) % count
    # States: orientations, then vacuum and amorphous material.
    states = without_small(np.where(kind == CRYSTAL, orientation[cells], count - 1 + kind))
    kind = np.where(states < count, CRYSTAL, states - count + 1).astype(np.int8)
    labels = pieces(states)

    crystals = pictures(case, count, phase_of, bend, detector, rng)
    stops = crystals.shape[1]
    others = np.stack(empty_patterns(case, detector, rng))[:, None].repeat(stops, axis=1)
    all_states = np.concatenate([crystals, others])
    place = np.zeros(shape)
    if bend:
        for label in range(labels.max() + 1):
            inside = labels == label
            angle = rng.uniform(0, 2 * np.pi)
            along = y[inside] * np.sin(angle) + x[inside] * np.cos(angle)
            spread = max(np.ptp(along), 1)
            place[inside] = (along - along.min()) / spread * (stops - 1)
    below = np.minimum(place.astype(int), max(stops - 2, 0))
    part = (place - below)[..., None, None]
    above = np.minimum(below + 1, stops - 1)
    mean = (1 - part) * all_states[states, below] + part * all_states[states, above]
    if case.blurred:
        # The probe is wider than a step: patterns of neighbours mix.
        mean = ndimage.gaussian_filter(mean, (0.5, 0.5, 0, 0), mode="nearest", truncate=3)
    drift = rng.uniform(*case.drift)
    if drift:
        angle, ramp = rng.uniform(0, 2 * np.pi), (y / shape[0] - 0.5, x / shape[1] - 0.5)
        for index in np.ndindex(shape):
            moved = drift * np.array([ramp[0][index], ramp[1][index]])
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            mean[index] = ndimage.shift(mean[index], turn @ moved, order=1, mode="nearest")
    # The beam's current wavers, and the foil's thickness.
    current = dose * (1 + 0.05 * wavy(shape, rng))
    return mean * current[..., None, None], {
        "labels": labels,
        "groups": pieces_by_state(states),
        "kind": kind,
        "beam": detector.center,
        "dose": np.float64(dose),
        "bending": np.float64(bend),
    }


def with_gap(counts: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A cross of dead lines off the beam, as between chips, and hot pixels, some steady and some that flicker."""
    side = counts.shape[-1]
    broken = np.zeros((side, side), dtype=bool)
    row, column = (int(side * value) for value in rng.choice([0.28, 0.33, 0.7, 0.75], size=2))
    broken[row : row + 2] = True
    broken[:, column : column + 2] = True
    counts[..., broken] = 0
    bright = counts.mean(axis=(0, 1)).max()
    for index, place in enumerate(rng.integers(0, side, size=(6, 2))):
        broken[tuple(place)] = True
        level = bright * rng.uniform(1, 6)
        steady = np.full(counts.shape[:2], level) if index % 2 else level * rng.exponential(size=counts.shape[:2])
        counts[..., place[0], place[1]] = rng.poisson(steady)
    return counts, broken


def pieces_by_state(states: np.ndarray) -> np.ndarray:
    """States numbered from 0 on without gaps."""
    return np.unique(states, return_inverse=True)[1].reshape(states.shape).astype(np.int32)


def of_pyxem(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """pyxem's own picture of grains of silicon, as counts: wide Gaussian spots, few of them on the detector."""
    from orix.quaternion import Orientation
    from pyxem.data.simulated_si import si_grains_from_orientations

    count, size, side = int(rng.integers(6, 12)), 40, 128
    phase = si_phase()
    orientations = Orientation(rotations(count, rng), symmetry=phase.point_group)
    noiseless = si_grains_from_orientations(orientations, seed=int(rng.integers(1000)), size=size, recip_pixels=side)
    data = np.asarray(noiseless.data, dtype=np.float64)
    flat = data.reshape(size * size, -1)
    _, index = np.unique(np.round(flat, 6), axis=0, return_inverse=True)
    states = without_small(index.reshape(size, size))
    dose = rng.uniform(3000, 8000)
    data = np.stack([flat[index.ravel() == state][0] for state in range(index.max() + 1)]).reshape(-1, side, side)[
        states
    ]
    counts = rng.poisson(data / data.sum(axis=(2, 3)).mean() * dose)
    return {
        "patterns": counts.astype(np.uint16),
        "labels": pieces(states),
        "groups": pieces_by_state(states),
        "kind": np.zeros((size, size), dtype=np.int8),
        "beam": np.array([side / 2 - 1, side / 2]),
        "broken": np.zeros((side, side), dtype=bool),
        "dose": np.float64(dose),
        "bending": np.float64(0),
    }


def main() -> None:
    args = parsed(__doc__)
    for name in (*CASES, "pyxem_silicon"):
        if args.only not in name:
            continue
        rng = np.random.default_rng([args.seed, zlib.crc32(name.encode())])
        case = of_pyxem(rng) if name == "pyxem_silicon" else scan(CASES[name], rng)
        np.savez_compressed(args.out / f"{name}.npz", **case)


if __name__ == "__main__":
    main()
