"""What a release needs beside code: an address, a citation, a source distribution that is whole."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ADDRESS = "https://example.org/somebody/emcore"


@pytest.fixture
def source(tmp_path):
    for name in ("Cargo.toml", "pyproject.toml", "CITATION.cff", "mkdocs.yml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def release(*words: object) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / ".ci/release.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def without_an_address(root: Path) -> None:
    for name, line in (
        ("Cargo.toml", "repository = .*"),
        ("CITATION.cff", "repository-code:.*"),
        ("mkdocs.yml", "repo_url:.*"),
    ):
        (root / name).write_text(re.sub(rf"^{line}\n", "", (root / name).read_text(), flags=re.MULTILINE))
    project = re.sub(r"\n\[project\.urls\]\n(\w+ = .*\n)+", "", (root / "pyproject.toml").read_text())
    (root / "pyproject.toml").write_text(project)


def test_a_release_is_refused_until_nothing_is_missing(source):
    without_an_address(source)
    version = tomllib.loads((source / "Cargo.toml").read_text())["package"]["version"]
    (source / "CHANGELOG.md").write_text(f"# Changelog\n\n## Unreleased\n\n## {version} (not released)\n\n- All.\n")
    code, said = release("--root", source)
    assert code == 1
    for part in ("do not say where the source lies", "date-released", "no heading", "under Unreleased"):
        assert part in said
    assert release("--root", source, "--address", ADDRESS)[0] == 1
    cargo, project = (tomllib.loads((source / name).read_text()) for name in ("Cargo.toml", "pyproject.toml"))
    assert cargo["package"]["repository"] == project["project"]["urls"]["Repository"] == ADDRESS
    (source / "CITATION.cff").write_text((source / "CITATION.cff").read_text() + "date-released: 2026-12-24\n")
    (source / "CHANGELOG.md").write_text(f"# Changelog\n\n## {version} (2026-12-24)\n\n- All.\n")
    assert release("--root", source) == (0, "nothing is missing\n")
    (source / "mkdocs.yml").write_text((source / "mkdocs.yml").read_text().replace(ADDRESS, f"{ADDRESS}2"))
    assert "different places" in release("--root", source)[1]


@pytest.mark.parametrize(
    "address", ["example.org/emcore", "https://example.org", "https://a b/c", "http://example.org/a/b"]
)
def test_what_is_no_address_is_not_written(address, source):
    without_an_address(source)
    before = (source / "Cargo.toml").read_text()
    code, said = release("--root", source, "--address", address)
    assert code != 0
    assert "is no address of a repository" in said
    assert (source / "Cargo.toml").read_text() == before


def test_an_address_is_written_once(source):
    without_an_address(source)
    release("--root", source, "--address", ADDRESS)
    assert "there is an address already" in release("--root", source, "--address", ADDRESS)[1]


def test_the_citation_is_of_this_version_and_has_what_the_format_asks_for():
    said = dict(re.findall(r"^([\w-]+): *(.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE))
    assert {"cff-version", "message", "title", "authors"} <= set(said)
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    assert (said["version"], said["license"]) == (cargo["version"], cargo["license"])


def test_the_source_distribution_has_everything_that_is_tested_and_read():
    patterns = [
        each["path"] for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["maturin"]["include"]
    ]
    there = {path for pattern in patterns for path in ROOT.glob(pattern)}
    folders = ("tests", "docs", "benches", ".ci", ".github")
    files = {path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()}
    kept = {path for path in files if not {"__pycache__", ".hypothesis"} & set(path.parts)}
    kept -= {ROOT / "benches/kernels.rs"}  # Cargo's
    assert kept <= there, sorted(kept - there)
    assert {ROOT / name for name in ("CHANGELOG.md", "CITATION.cff", "RELEASING.md", "Makefile", "mkdocs.yml")} <= there
