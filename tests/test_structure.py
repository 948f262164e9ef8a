"""How the source is laid: each layer stands only on those below it, and no two files import each other in a circle."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "python" / "emcore"
# From the lowest; the package itself, with the public names, stands between the workflows and the command line.
LAYERS = (
    ("_emcore",),
    ("core",),
    ("io",),
    ("outofcore",),
    ("methods",),
    ("scans", "datasets"),
    ("results",),
    ("reporting",),
    ("workflows",),
    ("emcore", "detectors", "preprocessing", "residuals", "validity"),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    paths = {path.relative_to(PACKAGE.parent).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    return {".".join(dotted.parts).removesuffix(".__init__"): path for dotted, path in paths.items()}


def imports(path: Path) -> Iterator[str]:
    """Whatever a file imports, also in functions, for types only, by name; of ``from a import b`` both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module
            extension = node.module == "emcore" and all(alias.name == "_emcore" for alias in node.names)
            yield from () if extension else (node.module,)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            first = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value).rstrip(".")


def dependencies() -> dict[str, set[str]]:
    """Which modules of the package each of them imports."""
    paths = modules()
    return {
        name: {observed for observed in imports(path) if observed in paths} - {name} for name, path in paths.items()
    }


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def test_every_module_lies_in_a_layer():
    assert {layer(module) for module in modules()} == set(RANK) - {"_emcore"}


def test_no_layer_imports_a_higher_one():
    upward = [
        f"{module} imports {other}"
        for module, others in dependencies().items()
        for other in others
        if RANK[layer(other)] > RANK[layer(module)]
    ]
    assert not upward


def test_no_modules_import_each_other_in_a_circle():
    try:
        TopologicalSorter(dependencies()).prepare()
    except CycleError as error:
        raise AssertionError(" <- ".join(error.args[1])) from None


METHODS = Path(__file__).parents[1] / "rust" / "methods"
FOLDERS = sorted(path.name for path in METHODS.glob("*/"))


def names(tree: str) -> Iterator[str]:
    """The first names of what follows ``super::`` in Rust: one, or those of a list in braces."""
    if not tree.startswith("{"):
        yield re.match(r"\w*", tree)[0]  # type: ignore[index]
        return
    depth, start = 0, 1
    for place, sign in enumerate(tree):
        depth += (sign == "{") - (sign == "}")
        if (sign == "," and depth == 1) or depth == 0:
            yield re.match(r"\s*(\w*)", tree[start:place])[1]  # type: ignore[index]
            start = place + 1
        if depth == 0:
            return


def uses(path: Path, files: set[str]) -> set[str]:
    """Which files of its folder a Rust file uses, its tests left out; what the folder itself offers is ``mod``."""
    source = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
    source = re.sub(r"#\[cfg\(test\)\]\s*mod \w+;", "", source).split("#[cfg(test)]\nmod tests")[0]
    outer = r"\bcrate::methods::" + path.parent.name + "::"
    if path.stem == "mod":
        inner = set(re.findall(r"(?<![\w:])(?:self::)?(\w+)::", source))
        return (inner | {name for at in re.finditer(outer, source) for name in names(source[at.end() :])}) & files
    observed = {name for at in re.finditer(rf"\bsuper::|{outer}", source) for name in names(source[at.end() :])} - {""}
    return {name if name in files else "mod" for name in observed} - {path.stem}


@pytest.mark.skipif(not FOLDERS, reason="the Rust sources are not beside the tests")
@pytest.mark.parametrize("folder", FOLDERS)
def test_no_circle_between_the_files_of_a_rust_method(folder):
    paths = {path.stem: path for path in (METHODS / folder).glob("*.rs") if path.stem != "tests"}
    try:
        TopologicalSorter({name: uses(path, set(paths)) for name, path in paths.items()}).prepare()
    except CycleError as error:
        raise AssertionError(" <- ".join(error.args[1])) from None
