"""The lines of a run as the section that RESULTS.md takes, and as one object of numbers."""

from collections.abc import Iterable, Sequence
from typing import Any

Facts = dict[str, Any]
SHARE_OF_FLOOR, RATIO_REFERENCE, SECONDS_BOTH = 0.3, 10, 10  # wanted: at least, at least, at most
TRAININGS = {  # part -> in words
    "train": "deterministic",
    "train-any-order": "any order",
    "train-compiled": "compiled, deterministic",
    "train-compiled-any-order": "compiled, any order",
}


def facts_of(lines: Iterable[Facts], part: str) -> list[Facts]:
    """What a part found, without the line that ends it."""
    return [line for line in lines if line["part"] == part and "part_seconds" not in line]


def trainings(lines: list[Facts]) -> list[Facts]:
    """One row for each network and way, with its ratio to the reference loop where that is known."""
    peers = {line["network"]: line["sheets_per_second"] for line in facts_of(lines, "reference")}
    rows = []
    for part, way in TRAININGS.items():
        for line in facts_of(lines, part):
            peer = peers.get(line["network"])
            rows.append(line | {"way": way, "ratio_reference": line["sheets_per_second"] / peer if peer else None})
    return rows


def seconds_of_both(rows: list[Facts]) -> dict[str, float]:
    """Seconds of both networks together, of each way in which both were trained."""
    ways: dict[str, list[float]] = {}
    for row in rows:
        ways.setdefault(row["way"], []).append(row["seconds"])
    return {way: sum(seconds) for way, seconds in ways.items() if len(seconds) == 2}


def summary(lines: list[Facts]) -> Facts:
    """The numbers of a run by name; of the trainings, those of the way in which both networks together are fastest."""
    rows, found = trainings(lines), Facts(benchmark="gpu")
    if both := seconds_of_both(rows):
        fastest = min(both, key=lambda way: both[way])
        found |= {"way": fastest, "seconds_both": both[fastest]}
        keys = ("seconds", "seconds_to_start", "sheets_per_second", "share_of_floor", "ratio_reference")
        chosen = [row for row in rows if row["way"] == fastest]
        found |= {f"{key}_{row['network']}": row[key] for row in chosen for key in keys}
        if "deterministic" in both and "any order" in both:
            found["ratio_deterministic"] = both["deterministic"] / both["any order"]
    for line in facts_of(lines, "tests"):
        found |= {f"tests_{key}": line[key] for key in ("passed", "failed", "skipped")}
    for line in facts_of(lines, "accuracy"):
        found |= {key: line[key] for key in ("accuracy", "accuracy_cpu", "within_spread") if key in line}
    for line in facts_of(lines, "features"):
        found["features_per_second"] = line["sheets_per_second"]
    for line in facts_of(lines, "backbones"):
        keys = ("batch", "sheets_per_second", "gigabytes")
        found |= {f"best_{key}_{line['network']}": line[key] for key in keys}
    for line in facts_of(lines, "two-processes"):
        found |= {key: line[key] for key in ("loss_difference", "agrees")}
    found["failed"] = [line["part"] for line in lines if line.get("failed")]
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}


def section(lines: list[Facts]) -> str:
    """The section as Markdown; what was not measured is left out, what failed is said."""
    blocks = [_machine(lines), _trainings(lines), _accuracy(lines), _features(lines), _backbones(lines)]
    blocks += [_processes(lines), _ends(lines)]
    return "\n\n".join(block for block in blocks if block)


def _machine(lines: list[Facts]) -> str:
    head = "## gpu: everything about trainings that only a GPU can show"
    for line in facts_of(lines, "machine"):
        where = "no GPU"
        if line["gpu"]:
            where = f"{line['gpu']} ({line['gpu_gigabytes']:.0f} GB, driver {line['driver']}, CUDA {line['cuda']}, "
            where += f"cuDNN {line['cudnn']}, a copy moves {line['copy_gigabytes_per_second']:.0f} GB/s)"
        cores = f"{line['cores']} cores, Python {line['python']}"
        packages = ", ".join(f"{name} {number or 'missing'}" for name, number in line["versions"].items())
        commit = f", on commit {line['commit']}" if line["commit"] else ""
        command = f"python -m benchmarks.gpu{' --rehearse' if line['rehearsal'] else ''}"
        return f"{head}\n\n`{command}`; {line['date']}{commit}; {where}; {cores}; {packages}."
    return head


def _trainings(lines: list[Facts]) -> str:
    rows = trainings(lines)
    titles = (
        "trained whole", "network", "to start, s", "training, s", "sheets/s",
        f"of the bytes floor (wanted: {SHARE_OF_FLOOR})", f"over the reference loop (wanted: {RATIO_REFERENCE})", "GB",
    )  # fmt: skip
    keys = ("way", "network", "seconds_to_start", "seconds", "sheets_per_second", "share_of_floor")
    table = _table(titles, [[row[key] for key in (*keys, "ratio_reference", "gigabytes")] for row in rows])
    both = [f"{way}: {seconds:.1f} s" for way, seconds in seconds_of_both(rows).items()]
    together = f"\n\nBoth networks together (wanted: less than {SECONDS_BOTH} s): {'; '.join(both)}." if both else ""
    batch = f"\n\nBatches of {rows[0]['batch']} sheets, {rows[0]['precision']}." if rows else ""
    return table + together + batch


def _accuracy(lines: list[Facts]) -> str:
    found = facts_of(lines, "accuracy")
    if not found or "accuracy" not in found[-1]:
        return ""
    one = found[-1]
    here, cpu = (f"{100 * one[f'accuracy{at}']:.1f} ± {100 * one[f'spread{at}']:.1f} %" for at in ("", "_cpu"))
    judged = "within" if one["within_spread"] else "**not within**"
    return (
        f"Accuracy of {one['network']} on drawn stained and unstained sheets, {len(found) - 1} seeds: {here}; on the"
        f" CPU in float32 {cpu}: {judged} the CPU's spread."
    )


def _features(lines: list[Facts]) -> str:
    return "\n".join(
        f"Features: {line['sheets_per_second']:.0f} sheets/s in {line['precision']}, {line['batch']} at a time;"
        f" relative difference to float32 on the CPU {line['difference_to_cpu']:.1g}."
        for line in facts_of(lines, "features")
    )


def _backbones(lines: list[Facts]) -> str:
    titles = ("trained whole, at the best batch", "batch", "sheets/s", "GB")
    keys = ("network", "batch", "sheets_per_second", "gigabytes")
    return _table(titles, [[line[key] for key in keys] for line in facts_of(lines, "backbones")])


def _processes(lines: list[Facts]) -> str:
    return "\n".join(
        f"Two processes through {line['backend']}: {line['seconds_together']:.1f} s with start-up, one process"
        f" {line['seconds_alone']:.1f} s; their losses differ by {line['loss_difference']:.1g} at most."
        for line in facts_of(lines, "two-processes")
    )


def _ends(lines: list[Facts]) -> str:
    tests = [
        f"Tests: {line['passed']} passed, {line['failed']} failed, {line['skipped']} skipped."
        for line in facts_of(lines, "tests")
    ]
    failed = [f"**{line['part']}** {line['failed']}" for line in lines if line.get("failed")]
    seconds = [f"{line['part']} {line['part_seconds']:.0f}" for line in lines if "part_seconds" in line]
    return "\n\n".join([*tests, *failed, f"Seconds of the parts: {', '.join(seconds)}." if seconds else ""]).strip()


def _table(titles: Sequence[str], rows: list[list[Any]]) -> str:
    if not rows:
        return ""
    lines = [titles, ["---"] * len(titles), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return "" if value is None else str(value)
