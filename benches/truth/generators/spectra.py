"""
Spectrum images of which the spectra, the maps and the number of phases are known, by third parties.

EDS: compounds by espm (emitted lines, bremsstrahlung, absorption, detector efficiency), mixed by its maps (spheres,
wedges, ripples, smooth noise) or by scikit-image's blobs, counted by it at three doses. EELS: edges by eXSpy
(hydrogenic cross sections) on a power law, counted by a camera whose gain is not 1, with read noise, cosmic rays and,
of every other, light that spreads to neighbouring channels. Of every seed the compounds, how many, and the shapes
differ. Beside the truth lies what espm's SmoothNMF makes of each, told the number of phases.

    python spectra.py --seed 1 --out FOLDER

Keys of a file: data (y, x, channels), offset, scale and units of the energy, spectra (k, channels) of sum 1, maps
(k, y, x) in counts, gain, read, cosmic_rays, and espm_spectra, espm_maps, espm_seconds.
"""

import time
import warnings
import zlib
from collections.abc import Callable
from copy import deepcopy

import numpy as np

warnings.simplefilter("ignore")
from arguments import parsed  # noqa: E402
from espm.conf import DEFAULT_EDXS_PARAMS  # noqa: E402
from espm.datasets.base import generate_spim  # noqa: E402
from espm.estimators import SmoothNMF  # noqa: E402
from espm.models.generate_EDXS_phases import generate_modular_phases  # noqa: E402
from espm.weights.abundance import Abundance  # noqa: E402
from exspy.components import EELSCLEdge  # noqa: E402
from scipy.ndimage import gaussian_filter  # noqa: E402
from skimage.data import binary_blobs  # noqa: E402

SHAPE = (64, 64)
DOSES = (20, 100, 500)
# Atomic numbers and shares.
COMPOUNDS = (
    {8: 2, 14: 1},
    {8: 3, 13: 2},
    {8: 3, 22: 1, 38: 1},
    {8: 2, 58: 1},
    {8: 4, 26: 3},
    {8: 8, 13: 1, 14: 3, 19: 1},
    {8: 4, 12: 1, 26: 1, 14: 1},
    {8: 5, 20: 5, 15: 3},
    {16: 2, 26: 1},
    {16: 1, 30: 1},
    {16: 2, 42: 1},
    {26: 1, 78: 1},
    {29: 1},
    {79: 1, 47: 1},
    {13: 9, 29: 1},
    {24: 2, 26: 7, 28: 1},
    {28: 3, 13: 1},
    {22: 1, 7: 1},
    {31: 1, 33: 1},
    {31: 1, 7: 1},
    {34: 1, 48: 1},
    {6: 1, 14: 1},
)
# Phases of EDS differ by so many degrees or more: nearer ones are not apart at the least dose, whoever looks.
APART = 15.0
EDGES = ("C_K", "N_K", "O_K", "Ti_L3", "Cr_L3", "Mn_L3", "Fe_L3", "Co_L3", "Ni_L3")


def angles(spectra: np.ndarray) -> np.ndarray:
    """Between every two, in degrees; 180 of a spectrum with itself."""
    unit = spectra / np.linalg.norm(spectra, axis=1, keepdims=True)
    return np.degrees(np.arccos(np.clip(unit @ unit.T, -1, 1))) + 180 * np.eye(len(unit))


def eds_spectra(k: int, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, float]]:
    """Of k compounds that are told apart, and their energy axis in keV."""
    parameters = deepcopy(DEFAULT_EDXS_PARAMS)
    size = int(rng.integers(600, 1000))
    scale = float(rng.choice([0.01, 0.02]))
    parameters |= {"e_offset": float(rng.choice([0.1, 0.2])), "e_size": size, "e_scale": scale}
    parameters["params_dict"]["Abs"]["atomic_fraction"] = True
    while True:
        some = [COMPOUNDS[i] for i in rng.permutation(len(COMPOUNDS))[:k]]
        elements = [{str(z): float(n) / sum(each.values()) for z, n in each.items()} for each in some]
        background = [{"b0": 10 ** rng.uniform(-5, -3.5), "b1": 10 ** rng.uniform(-3.5, -2)} for _ in some]
        spectra = generate_modular_phases(elements, background, None, parameters)
        if angles(spectra).min() >= APART:
            return spectra, {"offset": parameters["e_offset"], "scale": scale}


def particles(k: int, rng: np.random.Generator) -> np.ndarray:
    """Spheres in a matrix, which lies over and under them."""
    abundance = Abundance(SHAPE, k)
    for phase in range(1, k):
        for _ in range(int(rng.integers(2, 6))):
            radius = float(rng.uniform(4, 11))
            # Where it overlaps others so much that there is no room for it, espm leaves it out.
            centre = tuple(int(i) for i in rng.integers(0, 64, 2))
            abundance.add_sphere(centre, radius, float(rng.uniform(0.5, 0.9)), phase)
    return abundance.weights


def layers(k: int, rng: np.random.Generator) -> np.ndarray:
    """One on the other, blurred by the beam, each at least five positions thick."""
    cuts = np.sort(rng.choice(np.arange(1, 12), k - 1, replace=False)) * 5 + rng.integers(0, 4, k - 1)
    labels = np.searchsorted(cuts, np.arange(SHAPE[1]), side="right")
    abundance = Abundance(SHAPE, k)
    stripes = gaussian_filter((labels == np.arange(k)[:, None]).astype(float), (0, float(rng.uniform(0.5, 2))))
    for phase in range(1, k):
        layer = np.tile(0.999 * stripes[phase], (SHAPE[0], 1))
        abundance.add_image(layer, phase, 0.0, float(layer.max()))
    return abundance.weights


def gradients(k: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth: hardly a position holds one phase alone."""
    abundance = Abundance(SHAPE, k)
    for phase in range(1, k):
        size = int(rng.integers(5, 10))
        abundance.add_laplacian(int(rng.integers(1 << 31)), phase, 0.0, 1 / (k - 1), size_x=size, size_y=size)
    return abundance.weights


def blobs(k: int, rng: np.random.Generator) -> np.ndarray:
    """Of one phase each, where no other is yet."""
    abundance, free = Abundance(SHAPE, k), np.ones(SHAPE)
    for phase in range(1, k):
        length, part = float(rng.uniform(0.15, 0.35)), float(rng.uniform(0.15, 0.35))
        image = binary_blobs(SHAPE[0], length, volume_fraction=part, rng=int(rng.integers(1 << 31))) * free
        if image.any():
            abundance.add_image(image, phase, 0.0, 1.0)
        free = free * (1 - image)
    return abundance.weights


def boundary(k: int, rng: np.random.Generator) -> np.ndarray:
    """A ripple along a grain boundary, and a wedge of a second and third phase."""
    abundance = Abundance(SHAPE, k)
    width = float(rng.uniform(3, 9))
    abundance.add_gaussian_ripple(int(rng.integers(12, 52)), width, float(rng.uniform(0.4, 0.6)), 1)
    for phase in range(2, k):
        abundance.add_wedge((0, 0), *SHAPE, 0.0, 0.4 / (k - 2), phase)
    return abundance.weights[::-1] if rng.random() < 0.5 else abundance.weights


# Maps, and of how many phases.
SAMPLES: dict[str, tuple[Callable[[int, np.random.Generator], np.ndarray], tuple[int, ...]]] = {
    "particles": (particles, (2, 3, 4)),
    "layers": (layers, (3, 4, 5)),
    "gradients": (gradients, (2, 3)),
    "blobs": (blobs, (3, 4, 5)),
    "boundary": (boundary, (2, 3)),
}


def eds(seed: int) -> dict[str, dict[str, object]]:
    """Every sample at every dose: the same specimen, counted longer."""
    cases: dict[str, dict[str, object]] = {}
    for name, (maps_of, numbers) in SAMPLES.items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        k = numbers[(seed + len(cases) // len(DOSES)) % len(numbers)]
        spectra, axis = eds_spectra(k, rng)
        while True:
            weights = maps_of(k, rng)
            if weights.mean((0, 1)).min() >= 0.01 and weights.min() > -1e-9:
                break
        weights = np.maximum(weights, 0)
        densities = rng.uniform(0.6, 1.4, k)
        densities /= float((weights.mean((0, 1)) * densities).sum())
        for dose in DOSES:
            data = generate_spim(spectra, weights, densities, dose, seed=int(rng.integers(1 << 31)))
            maps = np.moveaxis(weights * densities * dose, -1, 0)
            cases[f"{name}-{dose}"] = {
                "data": data.astype(np.uint16),
                "units": "keV",
                **axis,
                "spectra": spectra / spectra.sum(axis=1, keepdims=True),
                "maps": maps,
                "gain": 1.0,
                "read": 0.0,
                "cosmic_rays": 0,
            }
    return cases


def eels_spectra(k: int, energies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Compounds of two or three elements each, none with the edges of another alone; edges and background alike."""
    power = float(rng.uniform(2.2, 3.5))
    while True:
        elements = [set(rng.choice(EDGES, int(rng.integers(1, 4)), replace=False)) for _ in range(k)]
        if len({frozenset(each) for each in elements}) == k and all(
            each - set().union(*(o for o in elements if o is not each)) for each in elements
        ):
            break
    spectra = []
    for some in elements:
        spectrum = float(rng.uniform(0.8, 1.2)) * (energies / energies[0]) ** -power
        for name in sorted(some):
            edge = EELSCLEdge(name, GOS="hydrogenic")
            edge.set_microscope_parameters(E0=200, alpha=20, beta=30, energy_scale=float(energies[1] - energies[0]))
            edge.intensity.value = 1
            shape = gaussian_filter(edge.function(energies), 2)
            onset = float(np.interp(edge.onset_energy.value, energies, spectrum))
            spectrum = spectrum + float(rng.uniform(0.3, 1.2)) * onset * shape / max(float(shape.max()), 1e-300)
        spectra.append(spectrum)
    whole = np.array(spectra)
    return whole / whole.sum(axis=1, keepdims=True)


def eels(seed: int) -> dict[str, dict[str, object]]:
    """Three cameras: of a small gain, of a large one, and one with cosmic rays."""
    cases: dict[str, dict[str, object]] = {}
    for name, maps_of, gains, k in (
        ("camera-layers", layers, (0.25, 0.7), 3 + seed % 2),
        ("camera-blobs", blobs, (3.0, 17.0), 3 + (seed + 1) % 2),
        ("camera-rays", particles, (2.0, 8.0), 2 + seed % 2),
    ):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        energies = 240.0 + 1.5 * np.arange(int(rng.integers(440, 560)))
        spectra = eels_spectra(k, energies, rng)
        while True:
            weights = np.maximum(maps_of(k, rng), 0)[:48, :48]
            if weights.mean((0, 1)).min() >= 0.03:
                break
        gain = float(np.exp(rng.uniform(*np.log(gains))))
        read = gain * float(rng.uniform(0.5, 4))
        electrons = len(energies) * float(rng.choice([30, 100, 300]))
        values = generate_spim(spectra, weights, np.ones(k), electrons, seed=int(rng.integers(1 << 31)))
        values = gain * values.astype(float)
        if name == "camera-blobs" and seed % 2:
            values = gaussian_filter(values, (0, 0, 0.7))
        values += rng.normal(0, read, values.shape) + 4 * read
        rays = int(rng.integers(20, 60)) if name == "camera-rays" else 0
        for _ in range(rays):
            y, x, channel = rng.integers(48), rng.integers(48), rng.integers(10, len(energies) - 10)
            values[y, x, channel : channel + int(rng.integers(1, 4))] += float(rng.uniform(20, 500)) * values.mean()
        # A pedestal, which every phase has under it, so that nothing is below zero.
        floor = 4 * read * len(energies)
        maps = np.moveaxis(weights * electrons * gain, -1, 0) + floor * np.moveaxis(weights, -1, 0)
        counted = gain * electrons * spectra + 4 * read
        cases[name] = {
            "data": np.maximum(np.rint(values), 0).astype(np.uint32 if values.max() > 65535 else np.uint16),
            "units": "eV",
            "offset": float(energies[0]),
            "scale": 1.5,
            "spectra": counted / counted.sum(axis=1, keepdims=True),
            "maps": maps,
            "gain": gain,
            "read": read,
            "cosmic_rays": rays,
        }
    return cases


def with_espm(data: np.ndarray, k: int) -> dict[str, object]:
    """What espm makes of counts as they are: Poisson likelihood, maps that are smooth and sum to one."""
    started = time.perf_counter()
    model = SmoothNMF(
        n_components=k,
        simplex_H=True,
        simplex_W=False,
        shape_2d=data.shape[:2],
        tol=1e-6,
        max_iter=100,
        verbose=False,
        random_state=0,
    )
    spectra = np.asarray(model.fit_transform(data.reshape(-1, data.shape[-1]).T.astype(float))).T
    sums = spectra.sum(axis=1)
    maps = (np.asarray(model.H_).T * sums).T.reshape(k, *data.shape[:2])
    return {
        "espm_spectra": spectra / np.maximum(sums, 1e-300)[:, None],
        "espm_maps": maps.astype(np.float32),
        "espm_seconds": time.perf_counter() - started,
    }


def main() -> None:
    options = parsed(__doc__)
    for name, case in {**eds(options.seed), **eels(options.seed)}.items():
        if options.only not in name:
            continue
        data = np.asarray(case["data"])
        peer = with_espm(data, len(np.asarray(case["spectra"])))
        np.savez_compressed(options.out / f"{name}.npz", **case, **peer)
        print(name, data.shape, f"{len(np.asarray(case['spectra']))} phases", flush=True)


if __name__ == "__main__":
    main()
