"""
Overlapping scans of one polycrystal, each turned and shifted: spots by diffsims, crystals by pyxem, noise of counting.

    python mosaics.py --seed 1 --out FOLDER        one NAME.npz per case, the same for the same seed

Grains are drawn on a grid eight times as fine as the scans are, and every scan looks up at its own places which grain
it is on: no pattern is interpolated, and what is true between the positions of a scan is known. Every file holds

    patterns_0, patterns_1, ...   (y, x, ky, kx) uint16, counts
    labels_0, labels_1, ...       (y, x) int32, the grain of each position
    transforms                    (n, 3, 3), from positions (y, x, 1) of each scan to pixels of the fine map
    fine                          (Y, X) int32, the grain of every pixel of the fine map: connected pieces, from 0 on
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np
from arguments import parsed

from scans import Case, Detector, pictures, pieces, voronoi

# Pixels of the fine map along a step of a scan.
FINE = 8


@dataclass(frozen=True)
class Mosaic:
    """How scans lie on the sample."""

    sample: Case
    grid: tuple[int, int] = (1, 2)
    overlap: float = 0.35
    turn: float = 8.0
    patterns_turn: bool = False
    scan: tuple[int, int] = (48, 56)


SAMPLE = Case(dose=(1500, 4000), pixels=48)
CASES = {
    "two_scans": Mosaic(SAMPLE),
    "four_scans": Mosaic(SAMPLE, grid=(2, 2)),
    "little_overlap": Mosaic(SAMPLE, overlap=0.2),
    "low_dose": Mosaic(replace(SAMPLE, dose=(150, 400))),
    "bending": Mosaic(replace(SAMPLE, bending=(1.0, 2.5))),
    "turned_sample": Mosaic(SAMPLE, turn=25.0, overlap=0.45, patterns_turn=True),
}


class Turned(Detector):
    """A detector on which all patterns are turned, by an angle in radians from ky towards kx."""

    def __init__(self, detector: Detector, angle: float) -> None:
        self.__dict__.update(detector.__dict__)
        self.turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def picture(self, places: np.ndarray, intensities: np.ndarray) -> np.ndarray:
        return super().picture(places @ self.turn.T, intensities)


def mosaic(case: Mosaic, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shape = np.array(case.scan)
    steps = shape * (1 - case.overlap)
    extent = (shape + steps * (np.array(case.grid) - 1) + 6).astype(int)
    count = int(extent.prod() / 13**2)
    cells = voronoi((int(extent[0]) * FINE, int(extent[1]) * FINE), count, rng)
    detector = Detector(case.sample, rng)
    bend = rng.uniform(*case.sample.bending)
    alike = rng.integers(2**32)
    along = rng.uniform(0, 2 * np.pi, count)
    middle = (shape - 1) / 2
    made: dict[str, np.ndarray] = {"fine": pieces(cells)}
    transforms = []
    for number, (row, column) in enumerate(np.ndindex(case.grid)):
        angle = np.radians(rng.uniform(-case.turn, case.turn))
        place = 3 + middle + np.array([row, column]) * steps + rng.uniform(-2, 2, 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = np.eye(3)
        matrix[:2, :2] = turn
        matrix[:2, 2] = place - turn @ middle
        # From the middle of a step to that of the pixels that it has.
        matrix = np.array([[FINE, 0, (FINE - 1) / 2], [0, FINE, (FINE - 1) / 2], [0, 0, 1]]) @ matrix
        transforms.append(matrix)
        places = np.stack([*np.indices(case.scan), np.ones(case.scan)], axis=-1) @ matrix[:2].T
        index = np.clip(np.rint(places).astype(int), 0, np.array(cells.shape) - 1)
        grain = cells[index[..., 0], index[..., 1]]
        # The same crystals for every scan, whichever way the detector lies: a scan turned forth sees patterns back.
        if number == 0 or case.patterns_turn:
            seen = Turned(detector, -angle if case.patterns_turn else 0.0)
            drawn = pictures(case.sample, count, np.zeros(count, int), bend, seen, np.random.default_rng(alike))
        dose = np.exp(rng.uniform(*np.log(case.sample.dose)))
        made[f"patterns_{number}"] = counted(drawn, grain, along[grain], places / FINE, dose, rng)
        made[f"labels_{number}"] = made["fine"][index[..., 0], index[..., 1]]
    return made | {"transforms": np.stack(transforms)}


def counted(
    drawn: np.ndarray, grain: np.ndarray, along: np.ndarray, places: np.ndarray, dose: float, rng: np.random.Generator
) -> np.ndarray:
    """Counts at every position of a scan, of grains that bend along a direction of their own, back and forth."""
    stops = drawn.shape[1]
    phase = (places[..., 0] * np.sin(along) + places[..., 1] * np.cos(along)) / 26 * 2 * np.pi
    stop = (np.sin(phase + 5 * along) + 1) / 2 * (stops - 1)
    below = np.minimum(stop.astype(int), max(stops - 2, 0))
    part = (stop - below)[..., None, None]
    above = np.minimum(below + 1, stops - 1)
    counts = rng.poisson(dose * ((1 - part) * drawn[grain, below] + part * drawn[grain, above]))
    return np.minimum(counts, 65535).astype(np.uint16)


def main() -> None:
    args = parsed(__doc__)
    for name, case in CASES.items():
        if args.only in name:
            made = mosaic(case, np.random.default_rng([args.seed, zlib.crc32(name.encode())]))
            np.savez_compressed(args.out / f"{name}.npz", **made)


if __name__ == "__main__":
    main()
