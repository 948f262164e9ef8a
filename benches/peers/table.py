"""How the figures of a workload script become a page of tables."""

from typing import Any

HEADER = """
| workload | row | emcore | peer | peer's time | ratio | asked | memory | peer's memory | of bytes/s | of flop/s |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def line(record: dict[str, Any]) -> str:
    """One row of the table."""
    if "problem" in record:
        return f"| {record['workload']} | {record['row']} | | {record['peer']} | {record['problem']} | | | | | | |"
    ratio, asked = record["ratio"], record["asked"]
    shares = (record[name] for name in ("share of bytes/s", "share of flop/s"))
    cells = [
        record["workload"],
        record["row"],
        f"{record['seconds'] * 1e3:.4g} ms",
        record["peer"],
        f"{record['peer seconds'] * 1e3:.4g} ms",
        f"**{ratio['median']:.2f}** ({ratio['low']:.2f} to {ratio['high']:.2f})",
        f"{asked:g}" if asked else "",
        *("" if record[name] is None else f"{record[name]:.2f}x" for name in ("memory", "peer memory")),
        *(f"{share:.0%}" if share else "" for share in shares),
    ]
    return f"| {' | '.join(cells)} |"


def markdown(results: dict[str, Any]) -> str:
    """The results of one script as a page."""
    limits, threads = results["limits"], results["threads"]
    lines = [
        f"# {results['script']}, {threads} threads, {results['instruction set']}\n",
        f"Ratio: peer's time / emcore's, median of {results['pairs']} pairs (quartiles in brackets). Memory: above "
        "what was held after loading, as a multiple of the input. This machine with as many threads: "
        f"{limits['bytes/s'] / 1e9:.0f} GB/s read, {limits['flop/s'] / 1e9:.0f} GFlop/s in f32.\n{HEADER}".rstrip(),
        *map(line, results["records"]),
    ]
    for curve in results["growth"]:
        lines.append(f"\n{curve['name']}: time ~ {curve['axis']}^{curve['exponent']:.2f}\n")
        lines.append(f"| {curve['axis']} | time |\n| --- | --- |")
        pairs = zip(curve["values"], curve["seconds"], strict=True)
        lines.extend(f"| {value} | {seconds * 1e3:.4g} ms |" for value, seconds in pairs)
    return "\n".join(lines) + "\n"
