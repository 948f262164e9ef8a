"""A spacing is claimed where there is a lattice, and nowhere else."""

import numpy as np
import pytest

from emcore.datasets import lattice_micrograph
from emcore.methods.selection.rules import RankChoice
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


LARGE_Y, LARGE_X = np.mgrid[:512, :512].astype(float)


def columns(spacing, direction):
    """Columns of atoms on a square lattice."""
    turn = np.radians(direction)
    along = np.cos(turn) * LARGE_X - np.sin(turn) * LARGE_Y, np.sin(turn) * LARGE_X + np.cos(turn) * LARGE_Y
    away = [(u / spacing - np.rint(u / spacing)) / 0.2 for u in along]
    return np.exp(-0.5 * (away[0] ** 2 + away[1] ** 2))


@pytest.mark.parametrize(("spacing", "direction", "darker"), [(15.0, 7.0, 1.0), (12.0, 20.0, 0.3)])
def test_one_lattice_without_noise_is_one_region_and_that_is_said(spacing, direction, darker):
    image = columns(spacing, direction) * np.where(np.hypot(LARGE_Y - 256, LARGE_X - 256) < 150, 1.0, darker)
    image += (darker < 1) * 0.02 * np.random.default_rng(0).normal(size=image.shape)
    result = analyze_image(image)
    assert result.n_components == len(result.maps) == 1
    assert np.all(result.regions == 0)
    assert result.spacing == pytest.approx([spacing], rel=0.01)
    assert any("the same lattice are one: 1 of" in note for note in result.provenance.notes)
    assert analyze_image(image, n_components=3).n_components == 3


def test_two_lattices_of_which_one_was_parted_are_two_with_refined_factors(monkeypatch):
    sample = lattice_micrograph((400, 500), [7, 12], [20, 110], noise=0.5)
    expected = analyze_image(sample.image)
    numbers = iter([np.array([0, 1, 1])])
    monkeypatch.setattr("emcore.workflows.image.one_lattice", lambda powers, lattices: next(numbers))
    monkeypatch.setattr("emcore.workflows.image.rank_by_rule", lambda *_, **__: RankChoice(3, "gap", "three"))
    result = analyze_image(sample.image)
    assert (result.n_components, result.reason) == (2, "three; those of one lattice are one")
    assert any("the same lattice are one: 2 of 3" in note for note in result.provenance.notes)
    assert result.spectra.sum(axis=(1, 2)) == pytest.approx([1.0, 1.0], rel=1e-4)
    order = np.argsort(result.spacing), np.argsort(expected.spacing)
    assert np.allclose(result.maps[order[0]], expected.maps[order[1]], atol=0.02 * expected.maps.max())
    assert np.allclose(result.spacing[order[0]], expected.spacing[order[1]], rtol=1e-3)


@pytest.mark.parametrize("name", ["tescan.tif", "zeiss_512.tif", "colour_first.hspy", "tvips_line_noise.tif"])
def test_real_pictures_without_a_lattice_have_no_spacing(name, data_folder):
    assert np.isnan(analyze_image(data_folder / "cases" / name).spacing).all()


@pytest.mark.parametrize("window", [64, 128])
@pytest.mark.parametrize("name", ["brick", "camera", "coins", "grass", "gravel"])
def test_everyday_pictures_have_no_spacing(name, window):
    pictures = pytest.importorskip("skimage.data", reason="scikit-image has other people's pictures")
    assert np.isnan(analyze_image(getattr(pictures, name)()[:320], window=window).spacing).all()
