"""Pages to look into results: what they hold, that they are alone, and what a browser makes of them."""

import base64
import json
import re
import shutil

import numpy as np
import pytest

import emcore
from emcore import datasets
from emcore.cli import main
from emcore.core.signals import Axis, Signal
from emcore.reporting import html
from emcore.reporting.html.measured import binned, measured_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def inside(path):
    """What a page holds, its arrays decoded."""
    page = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', path.read_text(), re.S)[1])
    for field in [*page["maps"], *page["signals"], *([page["measured"]] if page["measured"] else [])]:
        values = np.frombuffer(base64.b64decode(field["data"]), np.dtype(field["type"]))
        field["values"] = values.reshape(
            *([field["n"]] if "n" in field else []),
            *field["shape"],
            *([axis["size"] for axis in field["inside"]] if "inside" in field else []),
        )
    return page


@pytest.fixture(scope="module")
def sample():
    return datasets.bent_polycrystal((24, 32), (32, 32), n_grains=4)


@pytest.fixture(scope="module")
def grains(sample):
    return emcore.segment_grains(sample.patterns)


@pytest.fixture(scope="module")
def phases():
    return emcore.unmix(datasets.eds_phases(shape=(30, 40)).signal)


def test_a_page_holds_maps_signals_and_tables_as_they_are(grains, sample, tmp_path):
    page = inside(grains.to_html(tmp_path / "grains.html", sample.patterns))
    maps = {each["name"]: each for each in page["maps"]}
    assert np.array_equal(maps["labels"]["values"][0], grains.labels)
    assert maps["labels"]["labels"]
    assert maps["labels"]["axes"][1] == {"name": "x", "size": 32, "units": "nm", "offset": 0.0, "scale": 4.0}
    signals = {each["name"]: each for each in page["signals"]}
    np.testing.assert_allclose(signals["signals"]["values"], grains.signals, rtol=1e-6)
    assert page["group"] == "grain"
    table = next(each for each in page["tables"] if each["of"] == "grain")
    assert table["columns"]["positions"] == grains.size.tolist()
    measured = page["measured"]
    values = measured["values"] * measured["step"] + measured["low"]
    np.testing.assert_allclose(values, sample.patterns.data, atol=measured["step"])


def test_a_page_is_alone_and_the_text_of_a_file_is_only_text(phases, tmp_path):
    from dataclasses import replace

    record = replace(
        phases.provenance, input_name="</script><img src=x onerror=alert(1)>", notes=("<b>a</b> & @script@",)
    )
    text = replace(phases, provenance=record).to_html(tmp_path / "a.html").read_text()
    assert text.count("</script>") == 2
    assert "<img" not in text
    around = re.sub(r'<script id="data".*?</script>|<title>.*?</title>', "", text, flags=re.S)
    assert not re.search(r"(?:src|href)=|https?://|url\(|@import|fetch\(|XMLHttp", around)


def test_large_results_are_binned_until_they_fit_and_the_page_says_so(grains, tmp_path, monkeypatch):
    monkeypatch.setattr(html, "LARGEST", 60_000)
    path = grains.to_html(tmp_path / "a.html")
    assert path.stat().st_size < 60_000 + 60_000
    page = inside(path)
    assert any("for this page only" in text for _, text in page["facts"])
    assert any(each["shape"] != list(grains.signals.shape[1:]) for each in page["signals"])


def test_bins_of_measured_signals_are_means_and_the_rest_is_exact():
    rng = np.random.default_rng(0)
    data = rng.poisson(3, (9, 14, 50)).astype("u2")
    axes = Axis("y", 9, navigation=True), Axis("x", 14, navigation=True), Axis("energy", 50, 0.01, 0.1, "keV")
    found = measured_of(Signal(data, axes), 1 + 50 * 2 * 4 * 12 // 3, {"energy": "eV"})
    assert found.values.shape == (3, 4, 50)
    np.testing.assert_allclose(found.values[1, 2], data[4:8, 8:12].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(found.values[2, 3], data[8:, 12:].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(found.sums, data.sum(axis=2))
    np.testing.assert_allclose(found.mean, data.mean(axis=(0, 1)), rtol=1e-5)
    assert found.inside[0].values[0] == pytest.approx(100)


@pytest.mark.parametrize("factor", [1, 2, 3, 7, 20])
def test_bins_are_means_of_what_lies_in_them(factor):
    values = np.random.default_rng(1).normal(size=(2, 11, 7))
    observed = binned(values, factor)
    parts = [slice(start, start + factor) for start in range(0, 11, factor)]
    others = [slice(start, start + factor) for start in range(0, 7, factor)]
    expected = [[[each[a, b].mean() for b in others] for a in parts] for each in values]
    np.testing.assert_allclose(observed, expected, rtol=1e-5, atol=1e-6)


def test_what_is_no_scan_is_refused(phases, tmp_path):
    with pytest.raises(ValueError, match="those of a scan must come first"):
        phases.to_html(tmp_path / "a.html", np.zeros((4, 5)))
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileExistsError):
        phases.to_html(phases.to_html(tmp_path / "b.html"))


def test_a_signal_of_other_positions_is_refused(phases, tmp_path):
    other = datasets.eds_phases(shape=(40, 30)).signal
    for wrong in (other, np.asarray(other.data)):  # of an array nobody says that its first two axes are a scan
        with pytest.raises(ValueError, match=r"is a scan of .*, the result of \(30, 40\): give what was analysed"):
            phases.to_html(tmp_path / "a.html", wrong)
    assert not list(tmp_path.iterdir())


def test_measurements_have_pages_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("image.npy", np.random.default_rng(0).normal(size=(40, 50)))
    np.save("scan.npy", np.random.default_rng(0).poisson(2, (6, 7, 20, 20)).astype("u1"))
    assert main(["view", "image.npy", "scan.npy"]) == 0
    assert "written image.html" in capsys.readouterr().out
    assert inside(tmp_path / "image.html")["maps"][0]["shape"] == [40, 50]
    scan = inside(tmp_path / "scan.html")
    assert scan["measured"]["shape"] == [6, 7]
    np.testing.assert_array_equal(scan["maps"][0]["values"][0], np.load("scan.npy").sum(axis=(2, 3)))
    assert main(["view", "image.npy"]) == 1
    assert "--force" in capsys.readouterr().err


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser, path):
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "request", lambda request: page.problems.append(request.url) if not request.url.startswith("file:") else None
    )
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready=yes]")
    return page


def at_position(page, y, x, shape):
    """Where a position of the map lies on the screen."""
    box = page.locator("#map-canvas").bounding_box()
    return box["x"] + (x + 0.5) / shape[1] * box["width"], box["y"] + (y + 0.5) / shape[0] * box["height"]


def test_pointing_reads_values_and_clicking_keeps_a_position(browser, grains, sample, tmp_path):
    page = opened(browser, grains.to_html(tmp_path / "grains.html", sample.patterns))
    shape = grains.labels.shape
    for y, x in ((3, 5), (20, 28)):
        page.mouse.move(*at_position(page, y, x, shape))
        said = page.locator("#readout").inner_text()
        assert f"y {4 * y} nm, x {4 * x} nm" in said
        assert f"grain {grains.labels[y, x] + 1}" in said
        marked = page.locator("#groups tr.here").get_attribute("data-group")
        assert int(marked) == grains.labels[y, x]
    values = page.locator("#values").inner_text()
    assert f"{grains.correlation[20, 28]:.4g}".rstrip("0") in values
    page.mouse.click(*at_position(page, 3, 5, shape))
    page.mouse.move(5, 5)
    assert "y 12 nm, x 20 nm" in page.locator("#readout").inner_text()
    page.locator("#map-canvas").press("ArrowDown")
    assert "y 16 nm, x 20 nm" in page.locator("#readout").inner_text()
    assert page.problems == []


def test_groups_are_switched_off_and_on(browser, grains, tmp_path):
    page = opened(browser, grains.to_html(tmp_path / "grains.html"))
    colour = "p => [...document.getElementById('map-canvas').getContext('2d').getImageData(p[0], p[1], 1, 1).data]"
    width, height = page.locator("#map-canvas").evaluate("c => [c.width, c.height]")
    y, x = np.argwhere(grains.labels == 1)[len(np.argwhere(grains.labels == 1)) // 2]
    place = [int((x + 0.5) * width / grains.labels.shape[1]), int((y + 0.5) * height / grains.labels.shape[0])]
    before = page.evaluate(colour, place)
    page.locator("#group-1").uncheck()
    assert page.evaluate(colour, place) != before
    page.locator("#group-1").check()
    assert page.evaluate(colour, place) == before
    page.locator("#every").uncheck()
    assert not page.locator("#group-0").is_checked()
    assert page.problems == []


def test_spectra_are_read_and_saved(browser, phases, tmp_path):
    page = opened(browser, phases.to_html(tmp_path / "phases.html", datasets.eds_phases(shape=(30, 40)).signal))
    page.mouse.move(*at_position(page, 4, 30, (30, 40)))
    box = page.locator("#signal-canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    said = page.locator("#signal-readout").inner_text()
    assert re.match(r"energy \d+ eV: component 1 ", said)
    with page.expect_download() as download:
        page.locator("#signal-csv").click()
    head, *lines = download.value.path().read_text().splitlines()
    assert head.startswith("energy (eV),component 1")
    table = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    np.testing.assert_allclose(table[:, 1:4], phases.spectra.T, rtol=1e-5, atol=1e-9)
    with page.expect_download() as download:
        page.locator("#map-png").click()
    assert download.value.suggested_filename.endswith(".png")
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as download:
        page.locator("#map-csv").click()
    rows = download.value.path().read_text().splitlines()
    np.testing.assert_allclose([float(v) for v in rows[6].split(",")[1:]], phases.maps[0, 5], rtol=1e-5, atol=1e-6)
    assert page.problems == []


def test_every_control_works_on_every_page(browser, grains, phases, sample, tmp_path):
    paths = [grains.to_html(tmp_path / "g.html", sample.patterns), phases.to_html(tmp_path / "p.html")]
    paths.append(
        emcore.analyze_image(datasets.lattice_micrograph((256, 320)).image, window=64).to_html(tmp_path / "i.html")
    )
    for path in paths:
        page = opened(browser, path)
        for name in ("map", "signal", "colours"):
            for i in range(page.locator(f"#{name} option").count()):
                page.locator(f"#{name}").select_option(index=i)
        for name in ("over", "log"):
            page.locator(f"#{name}").check()
        box = page.locator("#signal-canvas").bounding_box()
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        assert page.problems == []
        assert "NaN" not in page.locator("body").inner_text()
