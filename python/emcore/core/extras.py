"""How an extra is installed: from where emcore itself was, a clone or the registry, into the environment that runs."""

import json
import os
import sys
from pathlib import Path


def install(extra: str) -> str:
    """The command that installs an extra of emcore.

    Examples
    --------
    >>> install("io").endswith("[io]'")
    True
    """
    source = _clone()
    here = source is not None and source == Path.cwd()
    return f"{_pip()} install '{'.' if here else source or 'emcore'}[{extra}]'"


def _clone() -> Path | None:
    """The source from which emcore runs, or was installed, where it still is."""
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    package = Path(__file__).resolve().parents[1]
    sources = [package.parents[1]] if package.parent.name == "python" else []
    try:
        address = json.loads(distribution("emcore").read_text("direct_url.json") or "{}").get("url", "")
    except (PackageNotFoundError, ValueError):
        address = ""
    if address.startswith("file:"):
        sources.append(Path(url2pathname(urlparse(address).path)))
    return next((source for source in sources if (source / "pyproject.toml").is_file()), None)


def _pip() -> str:
    """The pip of the environment: as it is called where that is active, else where it lies."""
    active = os.environ.get("VIRTUAL_ENV")
    if sys.prefix == sys.base_prefix or (active and Path(active).resolve() == Path(sys.prefix).resolve()):
        return "pip"
    path = Path(sys.prefix, "Scripts" if os.name == "nt" else "bin", "pip")
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
