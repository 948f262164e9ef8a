"""
Images with and without lattices: crystals of ASE as atomic columns, textures that ship with scikit-image, and neither.

Of every case: `image`; `regions`; `spacings`, for every region the periods of its strongest reflections, NaN beyond, a
row of NaN where there is no lattice; `asked`, for every region whether a spacing there would be true or false at all;
`true`, the number of regions, 0 where it is not asked; `kind`, "lattice", "texture" or "none".
"""

from collections.abc import Callable
from zlib import crc32

import numpy as np
import skimage.data
from arguments import parsed
from ase import Atoms
from ase.build import bcc110, bulk, fcc100, fcc110, fcc111, graphene, mx2
from scipy.ndimage import gaussian_filter, zoom

SIDE = 512
Y, X = np.mgrid[:SIDE, :SIDE].astype(float)
CENTRE = (SIDE - 1) / 2
# So many of the strongest reflections may be what a spacing is measured of.
REFLECTIONS = 6


def crystal(name: str) -> Atoms:
    """Of which the first two axes are seen from above."""
    make: dict[str, Callable[[], Atoms]] = {
        "simple cubic": lambda: bulk("Po", "sc", a=3.35),
        "caesium chloride": lambda: bulk("CsCl", "cesiumchloride", a=4.12),
        "gold 100": lambda: fcc100("Au", (1, 1, 2), vacuum=5, orthogonal=True),
        "gold 110": lambda: fcc110("Au", (1, 1, 2), vacuum=5),
        "gold 111": lambda: fcc111("Au", (1, 1, 1), vacuum=5),
        "iron 110": lambda: bcc110("Fe", (1, 2, 1), vacuum=5, orthogonal=True),
        "graphene": lambda: graphene(vacuum=5),
        "molybdenum disulphide": lambda: mx2("MoS2", vacuum=5),
    }
    return make[name]()


class Lattice:
    """A crystal of given period of its longest spacing (pixels), turned (degrees)."""

    def __init__(self, name: str, spacing: float, turn: float, width: float = 0.16) -> None:
        atoms = crystal(name)
        cell, places = atoms.cell[:2, :2], atoms.positions[:, :2]
        weights = atoms.numbers.astype(float) ** 1.7
        reciprocal = np.linalg.inv(cell).T
        orders = np.array([(h, k) for h in range(-6, 7) for k in range(-6, 7) if (h, k) > (0, 0)])
        g = orders @ reciprocal
        strength = np.abs(np.exp(-2j * np.pi * places @ g.T).T @ weights) ** 2
        seen = strength > 1e-6 * strength.max()
        scale = spacing * np.linalg.norm(g[seen], axis=1).min()
        angle = np.radians(turn)
        rotation = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self.cell, self.places, self.weights = cell @ rotation, places @ rotation, weights / weights.max()
        self.sigma = width * spacing
        lengths = np.linalg.norm(g, axis=1) / scale
        strength = strength * np.exp(-4 * (np.pi * self.sigma * lengths) ** 2)
        order = np.argsort(-strength)
        order = order[strength[order] > 0.5 * strength.max()][:REFLECTIONS]
        self.spacings = np.full(REFLECTIONS, np.nan)
        self.spacings[: len(order)] = 1 / lengths[order]

    def image(self, move: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
        """Columns as Gaussians, the highest 1; `move` shifts their places (x, y)."""
        n = int(1.6 * SIDE / min(np.linalg.norm(self.cell, axis=1).min(), 60)) + 4
        shifts = np.array([(i, j) for i in range(-n, n + 1) for j in range(-n, n + 1)]) @ self.cell
        image = np.zeros((SIDE, SIDE))
        reach = int(4 * self.sigma) + 1
        around = np.arange(-reach, reach + 1)
        for place, weight in zip(self.places, self.weights, strict=True):
            x, y = (shifts + place + CENTRE if move is None else move(shifts + place + CENTRE)).T
            inside = (x > -reach) & (x < SIDE + reach) & (y > -reach) & (y < SIDE + reach)
            for column, row in zip(x[inside], y[inside], strict=True):
                rows, columns = int(row) + around, int(column) + around
                rows, columns = (i[(i >= 0) & (i < SIDE)] for i in (rows, columns))
                spot = [np.exp(-0.5 * ((i - c) / self.sigma) ** 2) for i, c in ((rows, row), (columns, column))]
                image[np.ix_(rows, columns)] += weight * np.outer(*spot)
        return image / image.max()


def voronoi(rng: np.random.Generator, n: int) -> np.ndarray:
    """Regions of which none is small."""
    while True:
        sites = rng.uniform(0, SIDE, (n, 2))
        regions = np.argmin([(Y - y) ** 2 + (X - x) ** 2 for y, x in sites], axis=0)
        if np.bincount(regions.ravel(), minlength=n).min() > 0.12 * SIDE**2:
            return regions


def halves(rng: np.random.Generator) -> np.ndarray:
    turn, shift = rng.uniform(0, np.pi), rng.uniform(-60, 60)
    return ((X - CENTRE) * np.cos(turn) + (Y - CENTRE) * np.sin(turn) > shift).astype(int)


def disc(rng: np.random.Generator, smallest: float = 110, largest: float = 150) -> np.ndarray:
    y, x = rng.uniform(180, 330, 2)
    return (np.hypot(Y - y, X - x) < rng.uniform(smallest, largest)).astype(int)


def gaussian(image: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Noise in units of the standard deviation of the lattice."""
    return image + noise * image.std() * rng.normal(size=image.shape)


def counts(image: np.ndarray, dose: float, rng: np.random.Generator) -> np.ndarray:
    """Electrons, `dose` a pixel in the mean, on a ground."""
    image = image + 0.3
    return rng.poisson(dose * image / image.mean()).astype(np.uint16)


def case(image: np.ndarray, regions: np.ndarray, lattices: list[Lattice | None], kind: str = "lattice") -> dict:
    spacings = np.array([np.full(REFLECTIONS, np.nan) if each is None else each.spacings for each in lattices])
    return {
        "image": image.astype(np.float32) if image.dtype.kind == "f" else image,
        "regions": regions.astype(np.int8),
        "spacings": spacings,
        "asked": np.ones(len(lattices), bool),
        "true": len(lattices),
        "kind": kind,
    }


def mosaic(regions: np.ndarray, images: list[np.ndarray]) -> np.ndarray:
    return np.choose(regions, images)


ONE = np.zeros((SIDE, SIDE), int)


def cubic_noiseless(rng: np.random.Generator) -> dict:
    lattice = Lattice("simple cubic", rng.uniform(9, 18), rng.uniform(0, 90))
    return case(lattice.image(), ONE, [lattice])


def cubic_little_noise(rng: np.random.Generator) -> dict:
    lattice = Lattice("simple cubic", rng.uniform(9, 18), rng.uniform(0, 90))
    return case(gaussian(lattice.image(), 0.1, rng), ONE, [lattice])


def hexagonal_noiseless(rng: np.random.Generator) -> dict:
    lattice = Lattice(
        ["gold 111", "graphene", "molybdenum disulphide"][rng.integers(3)], *rng.uniform((8, 0), (20, 60))
    )
    return case(lattice.image(), ONE, [lattice])


def two_noiseless(rng: np.random.Generator) -> dict:
    spacing, turn = rng.uniform(8, 16), rng.uniform(0, 90)
    lattices = [Lattice("gold 111", spacing, turn), Lattice("gold 100", 1.15 * spacing, turn + 20)]
    regions = halves(rng)
    return case(mosaic(regions, [each.image() for each in lattices]), regions, lattices)


def varying_contrast(rng: np.random.Generator) -> dict:
    lattice = Lattice(["caesium chloride", "gold 110"][rng.integers(2)], rng.uniform(9, 18), rng.uniform(0, 90))
    patch = gaussian_filter(disc(rng).astype(float), rng.uniform(0, 30))
    image = lattice.image() * (1 - rng.uniform(0.5, 0.8) * patch)
    return case(gaussian(image, rng.uniform(0.05, 0.3), rng), ONE, [lattice])


def strained(rng: np.random.Generator) -> dict:
    """Up to 3 to 5 per cent along one direction, smoothly."""
    lattice = Lattice(["simple cubic", "gold 111"][rng.integers(2)], rng.uniform(9, 14), rng.uniform(0, 90))
    much = rng.uniform(0.03, 0.05) / 2

    def move(places: np.ndarray) -> np.ndarray:
        x, y = places.T
        return np.stack([x + much * (x - CENTRE) ** 2 / (2 * CENTRE) * np.sign(x - CENTRE), y], axis=1)

    return case(gaussian(lattice.image(move), rng.uniform(0.1, 0.5), rng), ONE, [lattice])


def bent(rng: np.random.Generator) -> dict:
    """Turned by up to 2 to 4 degrees either way from left to right."""
    lattice = Lattice(["simple cubic", "gold 111"][rng.integers(2)], rng.uniform(9, 14), rng.uniform(0, 90))
    much = np.radians(rng.uniform(2, 4)) / CENTRE

    def move(places: np.ndarray) -> np.ndarray:
        x, y = (places - CENTRE).T
        return np.stack([x - much * x * y, y + much * x**2 / 2], axis=1) + CENTRE

    return case(gaussian(lattice.image(move), rng.uniform(0.1, 0.5), rng), ONE, [lattice])


def near_spacings(rng: np.random.Generator) -> dict:
    """15 and 16 pixels, noise as strong as the contrast."""
    turn = rng.uniform(0, 90)
    lattices = [Lattice("simple cubic", 15.0, turn), Lattice("simple cubic", 16.0, turn)]
    regions = halves(rng)
    return case(gaussian(mosaic(regions, [each.image() for each in lattices]), 1.0, rng), regions, lattices)


def rotated_pair(rng: np.random.Generator) -> dict:
    name, spacing, turn = ["gold 100", "caesium chloride"][rng.integers(2)], rng.uniform(7, 14), rng.uniform(0, 90)
    lattices = [Lattice(name, spacing, turn), Lattice(name, spacing, turn + rng.uniform(15, 40))]
    regions = halves(rng)
    return case(gaussian(mosaic(regions, [each.image() for each in lattices]), 0.5, rng), regions, lattices)


def grains(rng: np.random.Generator) -> dict:
    """Three orientations of a hexagonal crystal at a dose."""
    name, spacing, turn = ["graphene", "molybdenum disulphide"][rng.integers(2)], rng.uniform(8, 14), rng.uniform(0, 20)
    lattices = [Lattice(name, spacing, turn + 20 * i) for i in range(3)]
    regions = voronoi(rng, 3)
    image = counts(mosaic(regions, [each.image() for each in lattices]), rng.uniform(3, 20), rng)
    return case(image, regions, lattices)


def three_crystals(rng: np.random.Generator) -> dict:
    """Square, rectangular and hexagonal."""
    spacings, turns = rng.uniform(8, 15, 3), rng.uniform(0, 90, 3)
    lattices = [Lattice(*each) for each in zip(["simple cubic", "gold 110", "gold 111"], spacings, turns, strict=True)]
    regions = voronoi(rng, 3)
    image = mosaic(regions, [each.image() for each in lattices])
    return case(gaussian(image, rng.uniform(0.3, 1.0), rng), regions, lattices)


def low_dose_pair(rng: np.random.Generator) -> dict:
    spacing = rng.uniform(8, 14)
    lattices = [Lattice("iron 110", spacing, rng.uniform(0, 90)), Lattice("gold 111", spacing, rng.uniform(0, 60))]
    regions = halves(rng)
    image = counts(mosaic(regions, [each.image() for each in lattices]), rng.uniform(0.5, 2.0), rng)
    return case(image, regions, lattices)


def precipitate(rng: np.random.Generator) -> dict:
    lattices = [Lattice("gold 100", rng.uniform(7, 10), 10.0), Lattice("gold 111", rng.uniform(10, 13), 30.0)]
    regions = disc(rng, 90, 120)
    image = mosaic(regions, [each.image() for each in lattices])
    return case(gaussian(image, rng.uniform(0.3, 1.0), rng), regions, lattices)


def crystal_on_carbon(rng: np.random.Generator) -> dict:
    lattice = Lattice(["gold 110", "gold 100"][rng.integers(2)], rng.uniform(7, 14), rng.uniform(0, 90))
    inside = disc(rng, 130, 170)
    amorphous = gaussian_filter(rng.normal(size=(SIDE, SIDE)), rng.uniform(1.0, 1.6))
    image = inside * lattice.image() / lattice.image().std() + amorphous / amorphous.std()
    return case(gaussian(image, 0.5, rng), 1 - inside, [lattice, None])


def texture(name: str, size: float) -> np.ndarray:
    """A picture of scikit-image, its contrast made even, `size` times as large, at least 1."""
    image = getattr(skimage.data, name)().astype(float)
    image -= gaussian_filter(image, 40)
    image /= np.sqrt(gaussian_filter(image**2, 40))
    return zoom(image, size, order=3)[:SIDE, :SIDE]


def textures(names: list[str], rng: np.random.Generator) -> dict:
    regions = halves(rng) if len(names) == 2 else voronoi(rng, len(names))
    names = [names[i] for i in rng.permutation(len(names))]
    size = rng.uniform(1.0, 1.3)
    image = mosaic(regions, [texture(name, size) for name in names]) + 0.1 * rng.normal(size=(SIDE, SIDE))
    result = case(image, regions, [None] * len(names), "texture")
    # Whether courses of bricks are a lattice is a matter of taste.
    result["asked"] = np.array([name != "brick" for name in names])
    return result


def without(image: np.ndarray, true: int = 1) -> dict:
    return case(image, ONE, [None], "none") | {"true": true}


def noise(rng: np.random.Generator) -> dict:
    return without(rng.normal(size=(SIDE, SIDE)))


def few_counts(rng: np.random.Generator) -> dict:
    return without(rng.poisson(rng.uniform(0.05, 2), (SIDE, SIDE)).astype(np.uint8))


def amorphous(rng: np.random.Generator) -> dict:
    """Rings of the transfer of contrast by a lens out of focus."""
    k2 = np.add.outer(np.fft.fftfreq(SIDE) ** 2, np.fft.fftfreq(SIDE) ** 2)
    transfer = np.sin(rng.uniform(150, 500) * k2) * np.exp(-k2 / 0.03)
    image = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIDE, SIDE))) * transfer).real
    return without(gaussian(image, 0.5, rng))


def line_noise(rng: np.random.Generator) -> dict:
    lines = rng.normal(size=(SIDE, 1)) + 0.3 * np.cumsum(rng.normal(size=(SIDE, 1)), axis=0)
    image = rng.uniform(0.5, 3) * lines + rng.normal(size=(SIDE, SIDE))
    return without(image.T if rng.random() < 0.3 else image)


def edges(rng: np.random.Generator) -> dict:
    """Sharp steps between grains of different brightness."""
    n = int(rng.integers(3, 14))
    sites = rng.uniform(0, SIDE, (n, 2))
    nearest = np.argmin([(Y - y) ** 2 + (X - x) ** 2 for y, x in sites], axis=0)
    image = gaussian_filter(rng.uniform(0, 10, n)[nearest], rng.uniform(0, 1))
    return without(image + rng.uniform(0.1, 1) * rng.normal(size=image.shape), 0)


def curtains(rng: np.random.Generator) -> dict:
    """Streaks of milling, almost along y, fading."""
    profile = gaussian_filter(rng.normal(size=3 * SIDE), rng.uniform(1, 3))
    image = np.interp(X + rng.uniform(-0.1, 0.1) * Y + SIDE, np.arange(3 * SIDE), profile / profile.std())
    return without(image * np.interp(Y, [0, SIDE], [0.5, 1.5]) + rng.uniform(0.2, 1) * rng.normal(size=image.shape), 0)


def info_bar(rng: np.random.Generator) -> dict:
    """Text of scikit-image's `page` on a black bar, a line above it, under a picture of noise with slow changes."""
    slow = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 60)
    image = np.clip(120 + 30 * slow / slow.std() + 15 * rng.normal(size=(SIDE, SIDE)), 0, 255)
    bar = int(rng.integers(40, 80))
    page = skimage.data.page()[62 : 62 + bar - 8]
    image[-bar:] = 0
    image[-bar + 4 : -4, : page.shape[1]][page < 90] = 255
    image[-bar] = 255
    return without(image.astype(np.uint8), 0)


def particles(rng: np.random.Generator) -> dict:
    image = np.zeros((SIDE, SIDE))
    radius = rng.uniform(5, 25)
    for y, x in rng.uniform(0, SIDE, (int(rng.integers(10, 80)), 2)):
        image = np.maximum(image, 4 * (np.hypot(Y - y, X - x) < radius * rng.uniform(0.7, 1.3)))
    return without(counts(gaussian_filter(image, 1.0), rng.uniform(2, 30), rng), 0)


def fractures(rng: np.random.Generator) -> dict:
    """A rough surface, whose power falls with frequency."""
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE))
    falling = np.maximum(k, 1 / SIDE) ** -rng.uniform(1, 2)
    image = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIDE, SIDE))) * falling).real
    return without(gaussian(image, 0.1, rng), 0)


CASES: dict[str, Callable[[np.random.Generator], dict]] = {
    "cubic noiseless": cubic_noiseless,
    "cubic little noise": cubic_little_noise,
    "hexagonal noiseless": hexagonal_noiseless,
    "two noiseless": two_noiseless,
    "varying contrast": varying_contrast,
    "strained": strained,
    "bent": bent,
    "15 and 16 px": near_spacings,
    "rotated pair": rotated_pair,
    "grains": grains,
    "three crystals": three_crystals,
    "low-dose pair": low_dose_pair,
    "precipitate": precipitate,
    "crystal on carbon": crystal_on_carbon,
    "grass gravel": lambda rng: textures(["grass", "gravel"], rng),
    "grass brick": lambda rng: textures(["grass", "brick"], rng),
    "gravel brick": lambda rng: textures(["gravel", "brick"], rng),
    "grass gravel brick": lambda rng: textures(["grass", "gravel", "brick"], rng),
    "noise": noise,
    "few counts": few_counts,
    "amorphous": amorphous,
    "line noise": line_noise,
    "edges": edges,
    "curtains": curtains,
    "info bar": info_bar,
    "particles": particles,
    "rough surface": fractures,
}


def main() -> None:
    args = parsed(__doc__)
    for name, make in CASES.items():
        if args.only in name:
            rng = np.random.default_rng([crc32(name.encode()), args.seed])
            np.savez_compressed(args.out / f"{name.replace(' ', '_')}.npz", **make(rng))


if __name__ == "__main__":
    main()
