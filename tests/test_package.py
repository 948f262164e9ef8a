"""The package as a whole: what it imports, what it promises in its stub, what is shipped, what it says of itself."""

import doctest
import inspect
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from importlib import import_module, metadata, resources
from pathlib import Path

import numpy as np
import pytest

import emcore
from emcore import _emcore
from emcore.datasets import eds_phases

ROOT = Path(__file__).parents[1]
PUBLIC = [name for name in emcore.__all__ if not name.startswith("_")]
NAMES_0_1_0 = {
    "emcore": """Axis Clustering FuzzyCMeans FuzzyClustering GustafsonKessel ImageAnalysis KMeans MergedSignals
        NMF PCA Segmentation Signal Unmixing __version__ analyze_image as_signal choose_n_clusters
        cluster_curves cluster_diffraction correlate describe full_plane get_num_threads inspect
        half_plane_weights load_result mean_signals merge_signals merge_similar n_components num_threads
        progress read segment_grains set_num_threads slic unmix window_centers windowed_power_spectra""",
    "emcore.datasets": """CorrelatedScan LabelledCurves LabelledGrains LabelledImage LabelledPatterns LabelledSpectra
        adjusted_rand_index bent_polycrystal co_fe_ratio correlated_scan eds_phases eds_spectrum
        eds_spheres far_from_borders iv_curves lattice_micrograph polycrystal_scan""",
    "emcore.detectors": "Beam annulus disc find_beam masked_beam pacbed sum_by_label virtual_images",
    "emcore.preprocessing": "NORMALIZATIONS Recipe mean_and_variance prepare quantiles",
    "emcore.residuals": "residuals",
    "emcore.validity": "Validity fuzzy_validity",
}
"""What users of version 0.1.0 import."""


def test_importing_emcore_imports_nothing_else():
    code = "import sys, emcore; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "numpy",
        "sklearn",
        "scipy",
        "matplotlib",
        "h5py",
        "rsciio",
        "tifffile",
        "dask",
        "hyperspy",
        "tqdm",
        "joblib",
    }
    assert not heavy & set(imported)
    assert "emcore" in imported


def test_the_version_is_the_same_in_cargo_in_rust_and_in_the_package():
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    assert emcore.__version__ == _emcore.__version__ == cargo
    if "site-packages" in emcore.__file__:
        assert metadata.version("emcore") == cargo


def test_the_changelog_speaks_of_this_version():
    assert re.search(rf"^## {re.escape(emcore.__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_package_says_that_it_is_typed():
    assert resources.files("emcore").joinpath("py.typed").is_file()
    assert resources.files("emcore").joinpath("_emcore.pyi").is_file()


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_documented(name):
    thing = getattr(emcore, name)
    doc = inspect.getdoc(thing)
    assert doc, f"{name} has no docstring"
    if inspect.ismodule(thing):
        return
    assert thing.__module__.startswith("emcore."), f"{name} comes from {thing.__module__}"
    if inspect.isfunction(thing) and inspect.signature(thing).parameters:
        for parameter in inspect.signature(thing).parameters:
            assert re.search(rf"\b{parameter}\b", doc), f"{name} does not explain {parameter}"
        assert ">>>" in doc, f"{name} has no example"


def test_every_public_name_is_in_dir_and_no_other_is_served():
    assert set(dir(emcore)) >= set(PUBLIC)
    assert len(set(emcore.__all__)) == len(emcore.__all__)
    with pytest.raises(AttributeError, match="module 'emcore' has no attribute 'analyse'"):
        emcore.analyse  # noqa: B018


@pytest.mark.parametrize("module", NAMES_0_1_0)
def test_every_name_of_version_0_1_0_is_imported_as_before(module):
    there, names = import_module(module), NAMES_0_1_0[module].split()
    assert set(names) <= set(there.__all__)
    assert all(hasattr(there, name) for name in names)


def test_the_stub_names_what_the_extension_has():
    stub = resources.files("emcore").joinpath("_emcore.pyi").read_text()
    promised = set(re.findall(r"^(?:def |class )?(\w+)\s*[:(]", stub, re.MULTILINE)) - {"from", "import"}
    promised -= set(re.findall(r"^class (_\w+)", stub, re.MULTILINE))  # types of settings and results, for the checker
    there = {name for name in dir(_emcore) if not name.startswith("__")} | {"__version__"}
    assert promised == there


def test_type_checkers_know_every_public_name_and_no_other():
    stub = resources.files("emcore").joinpath("__init__.pyi").read_text()
    named = re.findall(r"from emcore\.([\w.]+) import (?:\(([^)]*)\)|(.+))", stub)
    known = {
        name.split(" as ")[1].strip(): module
        for module, several, one in named
        for name in (several or one).split(",")
        if name.strip()
    }
    assert set(known) == set(emcore.__all__)
    assert all(known[name] == module for name, module in emcore._WHERE.items())


def test_the_extension_was_built_with_optimisation():
    assert _emcore.optimized


def test_the_extension_says_which_instruction_set_it_uses():
    assert _emcore.instruction_set() in ("AVX-512", "AVX2", "NEON", "baseline")


@pytest.mark.skipif(sys.platform != "linux", reason="wheels for other systems name their libraries otherwise")
@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="this interpreter has no stable interface"
)
def test_the_extension_works_with_every_later_python():
    assert Path(_emcore.__file__).name == "_emcore.abi3.so"


def test_the_readmes_example_has_twelve_lines():
    blocks = re.findall(r"```pycon\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    assert len(re.findall(r"^(?:>>>|\.\.\.) ", blocks[0], re.MULTILINE)) == 12


def test_the_readmes_example_runs_and_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert (failed, tried) == (0, 11)
    assert {path.name for path in tmp_path.iterdir()} == {"micrograph.pdf", "micrograph.h5"}


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")  # six components are too many for so few phases
def test_the_examples_out_of_core_run(tmp_path, monkeypatch):
    h5py, da = pytest.importorskip("h5py"), pytest.importorskip("dask.array")
    pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    pages = (ROOT / "docs/how-to" / name for name in ("files.md", "memory.md"))
    text = "".join(page.read_text() for page in pages)
    overruled, on_disk, on_dask, events = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    counts = eds_phases((16, 16), channels=300, counts=200.0).signal.data
    with h5py.File("map.h5", "w") as file:
        file["map"] = counts
    with h5py.File("scan.h5", "w") as file:
        file["EDX"], file["HAADF"] = counts.reshape(-1, 300).T, np.ones((512, 512))
    exec(overruled.replace("(64, 80)", "(16, 16)"), {"emcore": emcore})
    exec(on_disk, {"emcore": emcore})
    position, channel = np.nonzero(counts.reshape(256, 300))
    few = {
        "counts": np.ones(len(position)),
        "position": position,
        "channel": channel,
        "n_positions": 256,
        "n_channels": 300,
    }
    exec(events.replace("NMF(6", "NMF(2"), {"emcore": emcore, **few})
    assert {path.name for path in tmp_path.iterdir()} == {"map.h5", "scan.h5", "fit.npz", "job.npz"}
    names = {"emcore": emcore, "dask_array": da.from_array(counts, chunks=(8, 16, -1))}
    smaller = {"n_workers=8": "n_workers=1, processes=False, dashboard_address=':0'", "NMF(6)": "NMF(6, max_iter=3)"}
    for said, tried in smaller.items():
        assert said in on_dask
        on_dask = on_dask.replace(said, tried)
    try:
        exec(on_dask, names)
        assert names["result"].n_components == len(names["result"].spectra)
    finally:
        names["client"].cluster.close()
        names["client"].close()


def test_the_examples_of_a_method_a_format_and_a_workflow_run(tmp_path, monkeypatch):
    pytest.importorskip("h5py"), pytest.importorskip("tifffile")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    page = (ROOT / "docs/how-to/extending.md").read_text()
    names: dict[str, object] = {}
    for block in re.findall(r"```python exec[^\n]*\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    assert names["counts"].sum() == len(names["source"])
    assert isinstance(names["result"], names["Thickness"])


def test_pages_name_only_files_that_exist():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page} links to {target}"


def test_every_page_of_the_documentation_is_in_its_contents():
    contents = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = re.findall(r"([\w/-]+\.md)", contents)
    assert sorted(listed) == sorted(str(page.relative_to(ROOT / "docs")) for page in ROOT.glob("docs/**/*.md"))


def test_every_public_name_has_its_place_in_the_reference():
    pages = "".join(page.read_text() for page in ROOT.glob("docs/reference/*.md"))
    described = set(re.findall(r"^::: emcore\.(\w+)$", pages, re.MULTILINE))
    assert described >= set(PUBLIC), set(PUBLIC) - described


def test_every_verb_that_answers_a_question_is_explained():
    from emcore.cli import VERBS

    explained = {page.stem for page in ROOT.glob("docs/explanations/*.md")} - {"index"}
    assert explained == set(VERBS) - {"info", "demo", "view", "report", "export"}


def test_the_contributors_page_shows_the_folders_that_there_are():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    tree = page.partition("\n## The tree\n")[2].partition("\n## ")[0]
    shown, above = set(), {}
    for indent, folder in re.findall(r"^    ( *)([\w/]+)/ ", tree, re.MULTILINE):
        above[len(indent)] = ROOT if not indent else above[len(indent) - 2]
        above[len(indent)] /= folder
        shown.add(above[len(indent)])
    assert all(folder.is_dir() for folder in shown)
    folders = {ROOT / name for name in ("tests", "benches", "docs", "rust")} | {ROOT / "python/emcore"}
    folders |= {path for name in ("rust", "python/emcore") for path in (ROOT / name).iterdir() if path.is_dir()}
    assert shown == {folder for folder in folders if folder.name != "__pycache__"}


def test_the_contributors_page_names_only_files_that_exist():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    for name in re.findall(r"`((?!\.\./)(?:[\w.]+/)+[\w.]*|[A-Z]+\.md)`", page.replace("NAME", "kmeans")):
        assert any(
            (root / name).exists() or (root / name.replace("kmeans.rs", "kmeans")).exists()
            for root in (ROOT, ROOT / "rust", ROOT / "python", ROOT / "python/emcore")
        ), f"CONTRIBUTING.md names {name}"


def test_every_verb_that_answers_a_question_has_a_tutorial():
    from emcore.cli import VERBS

    taught = {page.stem for page in ROOT.glob("docs/tutorials/*.md")}
    assert taught == set(VERBS) - {"info", "demo", "view", "report", "export"} | {"results"}


def test_the_gallery_has_a_page_for_every_verb_as_its_table_says(monkeypatch):
    pytest.importorskip("matplotlib")
    from emcore.cli import VERBS

    monkeypatch.syspath_prepend(ROOT / "docs")
    gallery = import_module("gallery")
    assert set(gallery.VERBS) == set(VERBS) - {"info", "demo"}
    assert {page.stem for page in ROOT.glob("docs/gallery/*.md")} == set(gallery.ENTRIES)
    assert (ROOT / "docs/gallery.md").read_text() == gallery.contents()
    for name, entry in gallery.ENTRIES.items():
        assert (ROOT / f"docs/gallery/{name}.md").read_text() == gallery.page(name, entry)
        assert all((ROOT / "docs/gallery" / folder / f"{name}.png").exists() for folder in ("", "small"))


def test_tests_are_laid_as_the_package_is():
    package = ROOT / "python/emcore"
    for folder in (path for path in (ROOT / "tests").iterdir() if any(path.glob("test_*.py"))):
        whole = folder.name == "fuzz"
        assert whole or (package / folder.name).is_dir(), f"{folder} tests no folder of the package"
