"""A notebook as a user writes it, executed by a kernel: what a result looks like, and that each plot is seen once."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A cell, and how many pictures are seen below it.
CELLS = [
    ("import numpy as np\nfrom emcore import datasets", 0),
    ("np.save('map.npy', datasets.eds_phases((32, 40)).signal.data)", 0),
    ("import emcore\nsignal = emcore.read('map.npy')\nsignal.shape", 0),
    ("result = emcore.unmix(signal, 3)", 0),
    ("result", 0),
    ("result.plot()", 1),
    ("figure = result.plot()\nprint('kept')", 1),
    ("figure", 1),
    ("for component in range(2):\n    result.plot(component)", 2),
    ("import matplotlib.pyplot as plt\nresult.plot([0, 1], ax=plt.subplots(2)[1], cmap='magma')", 1),
    ("result.show()", 1),
    ("lines = plt.plot([1, 2])", 1),
    ("len(result.export('exported', overwrite=True)), len(plt.get_fignums())", 0),
]


def pictures(cell: Any) -> Iterator[str]:
    for output in cell.outputs:
        assert output.output_type != "stream" or output.name != "stderr", output.text
        if "image/png" in output.get("data", {}):
            yield output.data["image/png"]


def main(folder: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source, _ in CELLS])
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.write(notebook, folder / "notebook.ipynb")
    for cell, (source, seen) in zip(notebook.cells, CELLS, strict=True):
        assert len(list(pictures(cell))) == seen, f"{source}\nshows {len(list(pictures(cell)))} pictures, not {seen}"
    (table,) = (output.data["text/html"] for output in notebook.cells[4].outputs)
    assert "Unmixing of map.npy" in table
    assert "data:image/png" in table
    (said,) = notebook.cells[-1].outputs
    assert said.data["text/plain"].endswith(", 0)"), said


if __name__ == "__main__":
    main(Path(sys.argv[1]))
