"""A spacing is claimed where there is a lattice, and nowhere else."""

import numpy as np
import pytest

from emcore.datasets import lattice_micrograph
from emcore.workflows.image import analyze_image

SIDE = 320
Y, X = np.mgrid[:SIDE, :SIDE].astype(float)


def off(found, true):
    return np.abs((np.asarray(found) - true + 90) % 180 - 90)


def smoothed(image, sigma):
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, sigma)


def steps(rng, n=12):
    sites = rng.uniform(0, SIDE, (n, 2))
    nearest = np.argmin([(Y - y) ** 2 + (X - x) ** 2 for y, x in sites], axis=0)
    return smoothed(rng.uniform(0, 10, n)[nearest], 0.7)


def discs(rng, n=40):
    image = np.zeros((SIDE, SIDE))
    for y, x in rng.uniform(0, SIDE, (n, 2)):
        image[np.hypot(Y - y, X - x) < 9] = 3.0
    return smoothed(image, 1.0)


def band(rng):
    """Noise of one spatial frequency in all directions, as a defocused lens leaves it."""
    k = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE))
    image = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIDE, SIDE))) * np.exp(-0.5 * ((k - 0.12) / 0.01) ** 2)).real
    return 3 * image / image.std()


def wires(rng):
    turns, places = rng.uniform(0, np.pi, 8), rng.uniform(0.2, 0.8, (8, 2)) * SIDE
    away = [(X - x) * np.cos(turn) + (Y - y) * np.sin(turn) for turn, (y, x) in zip(turns, places, strict=True)]
    return 4 * np.exp(-0.5 * (np.array(away) / 1.5) ** 2).sum(axis=0)


def curtains(rng):
    """Streaks almost along y, as an ion beam leaves them below hard places."""
    return 3 * np.interp(X + 0.03 * Y, np.arange(2 * SIDE), smoothed(2 * rng.normal(size=2 * SIDE), 2.0))


PICTURES = {
    "noise": lambda rng: np.zeros((SIDE, SIDE)),
    "counts": lambda rng: rng.poisson(0.3, (SIDE, SIDE)),
    "grainy noise": lambda rng: 10 * smoothed(rng.normal(size=(SIDE, SIDE)), 2.0),
    "noise of one frequency": band,
    "scan lines": lambda rng: 2 * rng.normal(size=(SIDE, 1)) + np.zeros((SIDE, SIDE)),
    "drifting scan lines": lambda rng: np.cumsum(rng.normal(size=(1, SIDE)), axis=1) + np.zeros((SIDE, SIDE)),
    "jumps between lines": lambda rng: 5.0 * (rng.uniform(0, SIDE, 8) < Y[..., None]).sum(axis=2),
    "curtains": curtains,
    "an edge": lambda rng: 10.0 * (X + rng.uniform(0.1, 3) * Y > 1.2 * SIDE),
    "steps": steps,
    "a ramp": lambda rng: 0.05 * X - 0.02 * Y,
    "discs": discs,
    "wires": wires,
    "hot pixels": lambda rng: 300.0 * (rng.random((SIDE, SIDE)) < 1e-3),
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_of_noise_lines_and_edges_have_no_spacing(kind, seed):
    rng = np.random.default_rng(seed)
    result = analyze_image(PICTURES[kind](rng) + 0.5 * rng.normal(size=(SIDE, SIDE)))
    assert np.isnan(result.spacing).all()
    assert np.isnan(result.second_spacing).all()
    assert any("no peak stands out at periods below 32 px" in note for note in result.provenance.notes)


@pytest.mark.parametrize("kind", ["scan lines", "jumps between lines", "an edge", "grainy noise", "a ramp"])
def test_a_lattice_is_found_in_the_same_pictures(kind):
    rng = np.random.default_rng(2)
    wave = np.cos(2 * np.pi * (X + 0.4 * Y) / 9) + np.cos(2 * np.pi * (0.4 * X - Y) / 9)
    picture = PICTURES[kind](rng) + 0.5 * rng.normal(size=(SIDE, SIDE))
    result = analyze_image(picture + 2 * wave)
    assert np.allclose(result.spacing, 9 / np.hypot(1, 0.4), rtol=0.01)


@pytest.mark.parametrize("seed", range(6))
def test_lattices_of_any_spacing_and_direction_are_found_at_any_noise(seed):
    rng = np.random.default_rng(seed)
    spacing, direction = rng.uniform(3, 28), rng.uniform(0, 180)
    noise = [0.0, 0.3, 1.0, 2.0, 3.0, 4.0][seed]
    result = analyze_image(lattice_micrograph((256, 288), [spacing], [direction], noise=noise, seed=seed).image)
    largest = int(np.argmax(result.area))
    assert result.spacing[largest] == pytest.approx(spacing, rel=0.01)
    assert off(result.direction[largest], direction) < 0.6


def test_ground_beside_a_lattice_has_no_spacing():
    rng = np.random.default_rng(0)
    inside = np.hypot(Y - 160, X - 60) < 130
    wave = np.cos(2 * np.pi * X / 7) + np.cos(2 * np.pi * Y / 7)
    result = analyze_image(np.where(inside, 2 * wave, 0) + rng.normal(size=(SIDE, SIDE)))
    crystal, ground = int(result.regions[160, 60]), int(result.regions[20, 300])
    assert crystal != ground
    assert result.spacing[crystal] == pytest.approx(7, rel=0.01)
    assert np.isnan(result.spacing[ground])


@pytest.mark.parametrize("name", ["tescan.tif", "zeiss_512.tif", "colour_first.hspy", "tvips_line_noise.tif"])
def test_real_pictures_without_a_lattice_have_no_spacing(name, data_folder):
    assert np.isnan(analyze_image(data_folder / "cases" / name).spacing).all()


@pytest.mark.parametrize("window", [64, 128])
@pytest.mark.parametrize("name", ["brick", "camera", "coins", "grass", "gravel"])
def test_everyday_pictures_have_no_spacing(name, window):
    pictures = pytest.importorskip("skimage.data", reason="scikit-image has other people's pictures")
    assert np.isnan(analyze_image(getattr(pictures, name)()[:320], window=window).spacing).all()
