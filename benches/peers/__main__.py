"""
Run every workload script of this folder in turn: ``python benches/peers [NAME...] [options of the scripts]``.

All tables together are written to ``bench-results/all.md``.
"""

import subprocess
import sys
from pathlib import Path

from harness import RESULTS

names = [
    argument
    for argument in sys.argv[1:]
    if not argument.startswith("-") and (Path(__file__).parent / f"{argument}.py").exists()
]
options = [argument for argument in sys.argv[1:] if argument not in names]
scripts = sorted(path for path in Path(__file__).parent.glob("[!_]*.py") if path.stem not in ("harness", "table"))
chosen = [path for path in scripts if not names or path.stem in names]
failed = [path.stem for path in chosen if subprocess.run([sys.executable, path, *options]).returncode]
pages = [page for path in scripts if (page := RESULTS / f"{path.stem}.md").exists()]
RESULTS.mkdir(exist_ok=True)
(RESULTS / "all.md").write_text("\n".join(page.read_text() for page in pages))
print(f"Written: {RESULTS / 'all.md'}")
if failed:
    sys.exit(f"Failed: {', '.join(failed)}")
