"""How does a result become a document? A PDF with its pictures, its numbers, and everything needed to repeat it."""

import os
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

from emcore.core.files import as_path, check_output, new_file, write_whole
from emcore.reporting.pages import pages
from emcore.reporting.pages.layout import HEIGHT, WIDTH, new_page, write
from emcore.reporting.plotting import as_written, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES_PER_PAGE = 44


def write_report(result: Any, path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Write the report of a result as a PDF.

    Parameters
    ----------
    result : ImageAnalysis
        What a workflow returned.
    path : str or Path
        The file to write, made under a temporary name and renamed when it is complete.
    overwrite : bool, default False
        Replace an existing file.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is False.
    OSError
        If the file cannot be written there; nothing is left behind.
    TypeError
        If there is no report for this kind of result.
    ImportError
        Without matplotlib (the extra `plot`).

    Examples
    --------
    >>> import emcore, tempfile
    >>> from emcore.datasets import lattice_micrograph
    >>> result = emcore.analyze_image(lattice_micrograph(shape=(256, 320)).image, window=64, n_components=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result.report(folder + "/report.pdf").name
    'report.pdf'
    """
    with style():
        from matplotlib.backends.backend_pdf import PdfPages

        figures = [*pages(result), *_provenance_pages(result.provenance)]
        for number, figure in enumerate(figures, start=1):
            _head_and_foot(figure, result.provenance, f"page {number} of {len(figures)}")
        check_output(as_path(path), overwrite)
        whole = BytesIO()
        # Closed when it is whole only: closing embeds the fonts, for which an interrupt would wait.
        pdf = PdfPages(whole, metadata=_metadata(result))
        for figure in figures:
            with warnings.catch_warnings():
                # A name in a script that the font lacks is drawn as boxes; the PDF's title has it in full.
                warnings.filterwarnings("ignore", "Glyph .* missing from")
                pdf.savefig(as_written(figure))  # type: ignore[no-untyped-call]
        pdf.close()  # type: ignore[no-untyped-call]
        with new_file(path, overwrite) as temporary:
            write_whole(temporary, whole.getvalue())


def _metadata(result: Any) -> dict[str, Any]:
    record = result.provenance
    # The date of the analysis, not of the writing: the same result gives the same bytes.
    return {
        "Title": f"{record.method} of {record.input_name}",
        "Creator": f"emcore {record.versions.get('emcore', '')}".strip(),
        "CreationDate": datetime.fromisoformat(record.created) if record.created else None,
    }


def _head_and_foot(figure: "Figure", provenance: Any, page: str) -> None:
    write(figure, 0.55, 0.35, _shortened(provenance.input_name), fontsize=13)
    write(figure, 0.55, HEIGHT - 0.35, f"{provenance.method}, {provenance.created}", color="0.35")
    write(figure, WIDTH - 0.55, HEIGHT - 0.35, page, color="0.35", ha="right")


def _shortened(name: str, most: int = 90) -> str:
    return name if len(name) <= most else f"{name[: most // 2]} … {name[-most // 2 :]}"


def _provenance_pages(provenance: Any) -> "Iterator[Figure]":
    """Everything needed to repeat the analysis, as text."""
    lines: list[tuple[str, str]] = []
    _section(lines, "Input", {"file": provenance.input_name, "SHA-256": provenance.input_sha256})
    _section(lines, "Parameters", provenance.parameters)
    run = {"method": provenance.method, "created": provenance.created}
    run |= {"time": f"{provenance.elapsed:.2f} s", "threads": provenance.threads}
    _section(lines, "Run", run)
    _section(lines, "Notes", {str(i): note for i, note in enumerate(provenance.notes, start=1)})
    _section(lines, "Versions", provenance.versions)
    for start in range(0, len(lines), _LINES_PER_PAGE):
        figure = new_page()
        for number, (name, text) in enumerate(lines[start : start + _LINES_PER_PAGE]):
            top = 0.9 + 0.157 * number
            write(figure, 0.55, top, name, fontsize=8 if text else 10)
            write(figure, 2.6, top, text)
        yield figure


def _section(lines: list[tuple[str, str]], title: str, entries: Mapping[str, Any]) -> None:
    if not entries:
        return
    lines.append((title, ""))
    for name, value in entries.items():
        first, *rest = textwrap.wrap(str(value), 125) or ["–"]
        lines.append((_shortened(str(name), 28), first))
        lines.extend((" ", line) for line in rest)
    lines.append((" ", " "))
