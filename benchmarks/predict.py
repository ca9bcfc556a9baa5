"""Predicting against preparing alone, on the same photographs, and memory over the number of sheets.

SHEETLENS_REAL_DATA/sheets_fullres is scaled to the sizes of `benchmarks/prepare.py`. Preparing is the shard's
step with as many readers; predicting adds list, network, journal and tables (the start of the package is left out, as
it is paid once). Give a model's folder: `python benchmarks/predict.py results/mercury/models/table1/random-1`.
Interleaved rounds, medians. Memory is the resident memory of the job along a list of 8,000 rows, one in ten of
which is a small sheet. With --odd FOLDER, each file there is read too, and its fate printed. The last line is a
JSON object.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import psutil
import rows
from prepare import make_photographs, run_ours

from sheetlens.common import files
from sheetlens.predict.classifier import Classifier
from sheetlens.predict.collection_predictions import merge, write_part
from sheetlens.predict.input_list import write_list

ROUNDS, WORKERS, STEP = 3, 2, 1_000
rows.ROWS = 8_000  # a batch takes as long whether its files are sheets or not
MB = 2**20


def run_predict(model: Classifier, source: Path, output: Path) -> float:
    """Seconds for a whole run of `sheetlens predict` but for its start."""
    start = time.perf_counter()
    read(model, source, output)
    return time.perf_counter() - start


def read(model: Classifier, source: Path, output: Path, progress: object = lambda done, total: None) -> None:
    """What `sheetlens predict` does, at the first risk that the model has."""
    risk, listing, stem = model.facts["thresholds"][0]["risk"], output / "list.parquet", output / "0"
    write_list(source, listing)
    write_part(model, listing, 0, 1, stem, risk, WORKERS, progress)
    merge(model, listing, [stem], risk, output / "predictions.parquet", output / "summary.json")


def memory(model: Classifier, folder: Path) -> list[tuple[int, float]]:
    """Resident memory (MB) of this process at numbers of rows."""
    me, samples, seen = psutil.Process(), [], set()

    def watch(done: int, total: int) -> None:
        if done // STEP not in seen:
            seen.add(done // STEP)
            samples.append((done, me.memory_info().rss / MB))

    read(model, rows.make_listing(folder), folder / "answers", watch)
    return samples


def main() -> None:
    """Measure, print tables and the JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--odd", type=Path)
    arguments = parser.parse_args()
    model = Classifier(arguments.model)
    seconds: dict[str, list[float]] = {"prepare": [], "predict": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photographs").mkdir()
        photographs = make_photographs(folder / "photographs")
        for number in range(ROUNDS):
            place = folder / str(number)
            place.mkdir()
            seconds["prepare"].append(run_ours(photographs, WORKERS, place)[0])
            seconds["predict"].append(run_predict(model, folder / "photographs", place))
        (folder / "rows").mkdir()
        samples = memory(model, folder / "rows")
        fates = None
        if arguments.odd:
            read(model, arguments.odd, folder / "odd")
            fates = files.read_table(folder / "odd/predictions.parquet")
    print(f"{platform.platform()}, {os.cpu_count()} cores; {len(photographs)} JPEGs; {model.reason}")
    for what, values in seconds.items():
        print(f"{what:10}{len(photographs) / statistics.median(values):8.2f} sheets/s")
    print(f"{'rows':>8}{'MB':>8}")
    for done, resident in samples:
        print(f"{done:8}{resident:8.0f}")
    ratio = statistics.median(first / second for first, second in zip(*seconds.values(), strict=True))
    facts = {"benchmark": "predict", "ratio": round(ratio, 3), "growth_mb": round(samples[-1][1] - samples[1][1], 1)}
    if fates is not None:
        for row in fates.to_dict("records"):
            print(
                f"{row['image_id'][:50]:52}{row['decision'] or row['status']:12}{row['distance']:8.2f}  {row['reason']}"
            )
        facts["odd_not_classified"] = int((~fates["decision"].isin(model.facts["classes"])).sum())
        facts["odd_unlike"], facts["odd"] = int(fates["unlike"].fillna(False).sum()), len(fates)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
