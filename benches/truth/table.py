"""One row of a table of truth, and how rows become a page."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """What one program made of one case.

    Attributes
    ----------
    case : str
        Name and seed of the data.
    by : str
        "emcore", or what stands beside it; a peer that is told the true number says so here.
    found, true : int or None
        Numbers of grains, clusters, components, regions. None where it is not asked.
    scores : dict
        Name of a figure -> value: "index" (adjusted Rand), "angle" (degrees), ....
    seconds : float
        Of one call, only to see what is out of proportion.
    remark : str
        What the program said of its answer.
    """

    case: str
    by: str
    found: int | None
    true: int | None
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    remark: str = ""


def _cells(row: Row, names: list[str]) -> list[str]:
    numbers = ["" if value is None else str(value) for value in (row.found, row.true)]
    return [row.case, row.by, *numbers, *(f"{row.scores[n]:.3f}" if n in row.scores else "" for n in names), row.remark]


def _summary(rows: list[Row], names: list[str]) -> list[str]:
    """Of every program: numbers that are right, median and worst of each figure."""
    lines = []
    for by in dict.fromkeys(row.by for row in rows):
        own = [row for row in rows if row.by == by]
        # Who is told the number does not find it.
        counted = [row for row in own if row.found is not None and row.true is not None and "told" not in by]
        right = sum(row.found == row.true for row in counted)
        said = [f"number right in {right} of {len(counted)}"] if counted else []
        for name in names:
            values = [row.scores[name] for row in own if name in row.scores]
            if values:
                said.append(f"{name} median {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        lines.append(f"- {by}: {'; '.join(said)}")
    return lines


def markdown(title: str, rows: Iterable[Row]) -> str:
    """All rows of one question, and a line on each program."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row.scores))
    header = ["case", "by", "found", "true", *names, "remark"]
    lines = [f"## {title}", "", *_summary(rows, names), ""]
    lines += [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    lines += [f"| {' | '.join(_cells(row, names))} |" for row in rows]
    return "\n".join(lines) + "\n"
