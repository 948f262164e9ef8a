"""How the source is laid: each layer stands only on those below it, and no two files import each other in a circle."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

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
    return {name: {found for found in imports(path) if found in paths} - {name} for name, path in paths.items()}


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
