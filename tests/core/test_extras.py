"""What is said where an extra is missing installs it: from a clone today, from the registry once emcore is there."""

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import emcore
from emcore.core import extras
from emcore.core.extras import install
from emcore.core.hyperspy_signals import to_hyperspy
from emcore.datasets import eds_phases
from emcore.io import optional
from emcore.io.errors import EXTRAS

ROOT = Path(__file__).parents[2]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def brought(requirements: list[str], seen: set[str]) -> Iterator[str]:
    """The packages that requirements bring, by the names of their distributions, as far as they are installed."""
    for requirement in requirements:
        name, wanted = re.match(r"([\w.-]+)(?:\[([^\]]*)\])?", requirement).groups()
        if requirement in seen or name == "emcore":
            continue
        seen.add(requirement)
        yield name.lower()
        for asked in required(name):
            extra = re.search(r"extra == [\"\'](\w[\w-]*)[\"\']", asked)
            if extra is None or extra[1] in (wanted or "").split(","):
                yield from brought([asked], seen)


@cache
def required(name: str) -> tuple[str, ...]:
    """What a package asks for; nothing of one that is not installed."""
    try:
        return tuple(metadata.requires(name) or ())
    except metadata.PackageNotFoundError:
        return ()


distributions = cache(metadata.packages_distributions)


def test_every_extra_that_a_message_names_is_declared():
    code = "".join(path.read_text() for path in Path(emcore.__file__).parent.rglob("*.py"))
    named = set(re.findall(r"install\('(\w+)'\)", code)) | set(EXTRAS.values())
    assert named <= set(DECLARED)
    # What is found by itself where it is there, and the names of lines, which are left out without, need no message.
    assert set(DECLARED) - named == {"completion", "xray"}
    assert "pip install emcore" not in code


@pytest.mark.parametrize("module", EXTRAS)
def test_the_extra_of_a_package_brings_it(module):
    if module not in distributions():
        pytest.skip(f"{module} is not installed")
    there = set(brought(DECLARED[EXTRAS[module]], set()))
    assert there & {name.lower() for name in distributions()[module]}, there


CASES = {
    "matplotlib": ("plot", lambda folder: result().plot()),
    "hyperspy": ("hyperspy", lambda folder: to_hyperspy(np.zeros((3, 4)), emcore.as_signal(np.zeros((3, 4))).axes)),
    "xarray": ("xarray", lambda folder: result().to_xarray()),
    "h5py": ("hdf5", lambda folder: result().save(folder / "a.h5")),
    "dask.array": ("dask", lambda folder: optional.dask_array()),
    "zarr": ("zarr", lambda folder: optional.zarr_module()),
    "skimage.measure": ("image", lambda folder: optional.skimage_module("measure")),
    "umap": ("umap", lambda folder: optional.umap_module()),
    "rsciio.hspy": ("io", lambda folder: emcore.denoise(np.ones((4, 5, 6), "u1"), 1, out=folder / "a.hspy")),
    "rsciio.msa": ("io", lambda folder: result().export(folder, maps=(), tables=(), spectra=("msa",), figures=())),
    "tifffile": ("io", lambda folder: result().export(folder, maps=("tif",), tables=(), spectra=(), figures=())),
}


@cache
def result():
    return emcore.unmix(eds_phases(shape=(12, 14)).signal, 2)


@pytest.mark.parametrize("module", CASES)
def test_without_a_package_its_extra_is_said_with_the_command_that_installs_it(module, tmp_path, monkeypatch):
    extra, call = CASES[module]
    for name in [name for name in sys.modules if name == module or name.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError) as error:
        call(tmp_path)
    assert str(error.value).endswith(f": {install(extra)}")


@pytest.fixture
def away(monkeypatch, tmp_path):
    """As if the package lay in an environment, not in its source."""
    package = tmp_path / "site-packages/emcore/core"
    package.mkdir(parents=True)
    monkeypatch.setattr(extras, "__file__", str(package / "extras.py"))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)

    def installed_from(text):
        made = type("Made", (), {"read_text": lambda self, name: text})
        monkeypatch.setattr(metadata, "distribution", lambda name: made())

    return installed_from


def test_what_was_installed_from_a_clone_is_installed_from_there(away, tmp_path, monkeypatch):
    clone = tmp_path / "a clone"
    clone.mkdir()
    (clone / "pyproject.toml").touch()
    away(f'{{"url": "{clone.as_uri()}", "dir_info": {{}}}}')
    assert install("io") == f"pip install '{clone}[io]'"
    monkeypatch.chdir(clone)
    assert install("io") == "pip install '.[io]'"
    (clone / "pyproject.toml").unlink()
    assert install("io") == "pip install 'emcore[io]'"


@pytest.mark.parametrize("text", [None, "{}", "no JSON", '{"url": "https://example.org/emcore.whl"}'])
def test_what_came_from_a_registry_is_installed_from_there(text, away):
    away(text)
    assert install("io") == "pip install 'emcore[io]'"


def test_what_is_not_installed_at_all_is_taken_from_its_source(monkeypatch, tmp_path):
    source = tmp_path / "python/emcore/core"
    source.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(extras, "__file__", str(source / "extras.py"))
    assert install("io").endswith(f" install '{tmp_path}[io]'")


def test_the_pip_is_that_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / ".venv"))
    assert install("io").startswith("pip install ")
    monkeypatch.delenv("VIRTUAL_ENV")
    where = Path("Scripts" if os.name == "nt" else "bin", "pip")
    assert install("io").startswith(f"{tmp_path / '.venv' / where} install ")
    monkeypatch.chdir(tmp_path)
    assert install("io").startswith(f"{Path('.venv', where)} install ")
