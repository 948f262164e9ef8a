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


LARGE_Y, LARGE_X = np.mgrid[:512, :512].astype(float)


def columns(spacing, direction):
    """Columns of atoms on a square lattice."""
    turn = np.radians(direction)
    along = np.cos(turn) * LARGE_X - np.sin(turn) * LARGE_Y, np.sin(turn) * LARGE_X + np.cos(turn) * LARGE_Y
    away = [(u / spacing - np.rint(u / spacing)) / 0.2 for u in along]
    return np.exp(-0.5 * (away[0] ** 2 + away[1] ** 2))


@pytest.mark.parametrize(("spacing", "noise"), [(15.0, 0.0), (9.5, 0.0), (12.0, 0.1)])
def test_one_lattice_with_little_noise_is_one_region(spacing, noise):
    image = columns(spacing, 7.0)
    image += noise * image.std() * np.random.default_rng(0).normal(size=image.shape)
    result = analyze_image(image)
    assert result.n_components == len(result.maps) == 1
    assert np.all(result.regions == 0)
    assert result.spacing == pytest.approx([spacing], rel=0.01)


def test_one_lattice_of_varying_contrast_is_one_region_and_that_is_said():
    image = columns(12.0, 20.0) * np.where(np.hypot(LARGE_Y - 256, LARGE_X - 256) < 150, 1.0, 0.3)
    image += 0.02 * np.random.default_rng(0).normal(size=image.shape)
    result = analyze_image(image)
    assert result.n_components == len(result.maps) == 1
    assert result.spacing == pytest.approx([12.0], rel=0.01)
    assert any("the same lattice are one: 1 of" in note for note in result.provenance.notes)
    assert "those of one lattice are one" in result.reason
    assert analyze_image(image, n_components=3).n_components == 3


def test_a_bent_lattice_is_one_region_and_that_is_said():
    y, x = LARGE_Y, LARGE_X - 256
    away = [(u / 12 - np.rint(u / 12)) / 0.2 for u in (x + 0.0002 * x * y, y - 0.0001 * x**2)]
    image = np.exp(-0.5 * (away[0] ** 2 + away[1] ** 2))
    image += 0.05 * np.random.default_rng(0).normal(size=image.shape)
    result = analyze_image(image)
    assert result.n_components == 1
    assert any("changes steadily, as one that is strained or bent, are one" in note for note in result.provenance.notes)


@pytest.mark.parametrize(("spacing", "noise"), [(16.0, 1.0), (17.0, 0.0)])
def test_two_like_lattices_are_two_without_the_border_between_them(spacing, noise):
    image = np.where(LARGE_X + 0.3 * LARGE_Y < 330, columns(15.0, 10.0), columns(spacing, 10.0))
    image += noise * image.std() * np.random.default_rng(1).normal(size=image.shape)
    result = analyze_image(image)
    assert sorted(result.spacing) == pytest.approx([15.0, spacing], rel=0.01)
    assert any("borders between lattices are none: 2 of" in note for note in result.provenance.notes)


def test_a_small_grain_beside_large_ones_is_found():
    sites = [(130, 120), (330, 60), (60, 390)]
    regions = np.argmin([np.hypot(LARGE_Y - y, LARGE_X - x) - 20 * i for i, (y, x) in enumerate(sites)], axis=0)
    regions[(LARGE_X > 330) & (LARGE_Y > 280)] = 3
    image = np.choose(regions, [columns(10.0, turn) for turn in (0.0, 22.0, 45.0, 65.0)])
    image += 0.2 * np.random.default_rng(0).normal(size=image.shape)
    assert analyze_image(image).n_components == 4


def test_the_window_can_be_chosen_by_the_strongest_period_and_that_is_said():
    sample = lattice_micrograph((300, 320), [7, 6], [20, 110], noise=0.5)
    result = analyze_image(sample.image, window="auto")
    assert result.spectra.shape[1] == result.provenance.parameters["window"] == 64
    assert sorted(result.spacing) == pytest.approx([6, 7], rel=0.02)
    assert any("window='auto' is 64 px, by the strongest period of" in note for note in result.provenance.notes)
    noise = analyze_image(np.random.default_rng(0).normal(size=(200, 210)), window="auto")
    assert noise.provenance.parameters["window"] == 128
    assert any("no period stands out" in note for note in noise.provenance.notes)


@pytest.mark.parametrize("name", ["tescan.tif", "zeiss_512.tif", "colour_first.hspy", "tvips_line_noise.tif"])
def test_real_pictures_without_a_lattice_have_no_spacing(name, data_folder):
    assert np.isnan(analyze_image(data_folder / "cases" / name).spacing).all()


@pytest.mark.parametrize("window", [64, 128])
@pytest.mark.parametrize("name", ["brick", "camera", "coins", "grass", "gravel"])
def test_everyday_pictures_have_no_spacing(name, window):
    pictures = pytest.importorskip("skimage.data", reason="scikit-image has other people's pictures")
    assert np.isnan(analyze_image(getattr(pictures, name)()[:320], window=window).spacing).all()


def test_textures_are_told_apart_and_that_is_said():
    pictures = pytest.importorskip("skimage.data", reason="scikit-image has other people's pictures")
    from sklearn.metrics import adjusted_rand_score

    parts = [getattr(pictures, name)().astype(float) for name in ("grass", "gravel", "brick")]
    parts = [(part - part.mean()) / part.std() for part in parts]
    regions = np.where(LARGE_Y + 0.2 * LARGE_X < 200, 2, LARGE_X - 0.1 * LARGE_Y > 250).astype(int)
    result = analyze_image(np.choose(regions, parts))
    assert result.n_components == 3
    assert adjusted_rand_score(regions.ravel(), result.regions.ravel()) > 0.8
    assert np.isnan(result.spacing).all()
    assert any("regions are those of textures" in note for note in result.provenance.notes)
    assert "groups of radial and angular profiles" in result.reason
