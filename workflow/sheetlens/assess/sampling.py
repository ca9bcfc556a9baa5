"""Draw the sheets of a collection that people shall look at, and say beforehand what they will then know."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens.assess.answers import Answers, of_interest, open_answers
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.tables import safe_cell
from sheetlens.config import Records
from sheetlens.fetch.listing import LISTING
from sheetlens.fetch.records.specimen_records import join
from sheetlens.statistics import survey

CONFIDENCE = 0.95
PLANNED = (60, 100, 200, 500, 1000)  # sheets in the table of what will be known
SECOND = 0.2  # share of the sheets that a second person shall look at, too
FOLDER = "check"  # below the run's
RISK = 0.05  # errors that the table of perfect and nearly perfect checks is for
GATHERING = 2.35  # design effect of gatherings of 4 sheets with a correlation of 0.45 within


def write_sample(
    run: Path, sheets: int, records: Sequence[Records], seed: int, label: str | None, output: Path
) -> dict[str, Any]:
    """Write sample.csv, second.csv (a part of it, for another person), plan.csv and sample.json into `output`.

    sample.csv has image_id, barcode, storageLocation, stratum and inclusion_probability. The sample is stratified by
    answer and confidence and spread over the cabinets of `records`; the same `seed` draws the same sheets. Returns what
    sample.json says. Raises UserError for a run without answers and for a sample that is too small.
    """
    answers = open_answers(run)
    label = of_interest(answers.classes, label)
    total = len(answers.sheets)
    fewest = survey.FEWEST * len(np.unique(answers.answer))
    if not fewest <= sheets:
        raise UserError(f"--sheets {sheets} is too few: take at least {fewest}, and rather a hundred or more")
    sheets = min(sheets, total)
    strata = survey.cut(answers.answer, answers.confidence, sheets)
    cabinets = cabinets_of(answers.sheets, records)
    rows = survey.draw(strata, np.unique(cabinets, return_inverse=True)[1], sheets, np.random.default_rng(seed))
    sizes, drawn = np.bincount(strata), np.bincount(strata[rows])
    table = answers.sheets.iloc[rows][["image_id", "barcode"]].assign(
        storageLocation=cabinets[rows],
        stratum=strata[rows] + 1,
        inclusion_probability=(drawn / sizes)[strata[rows]],
    )
    second = np.random.default_rng([seed, 2]).permutation(len(table))[: max(1, round(SECOND * len(table)))]
    facts = {
        "predictions_sha256": answers.digest,
        "model_sha256": answers.summary["model"]["package_sha256"],
        "label": label,
        "seed": seed,
        "sheets": total,
        "drawn": len(table),
        "cabinets": len(set(cabinets) - {""}),
        "left_out": answers.left_out,
        "strata": _describe(answers, strata, drawn),
        "plan": expect(answers, label, sheets),
        "needed": [
            {"errors": errors, "sheets": (needed := survey.sheets_needed(errors, RISK, CONFIDENCE)),
             "sheets_in_gatherings": int(np.ceil(GATHERING * needed))}
            for errors in range(3)
        ],
    }  # fmt: skip
    files.write_table(output / "sample.csv", table.map(safe_cell))
    files.write_table(output / "second.csv", table.iloc[np.sort(second)].map(safe_cell))
    files.write_table(output / "plan.csv", pd.DataFrame(facts["plan"]))
    files.write_json(output / "sample.json", facts)
    return facts


def cabinets_of(sheets: pd.DataFrame, records: Iterable[Records]) -> np.ndarray:
    """The cabinet of each sheet, text, as `records` state it; "" where none does."""
    rows: Iterable[dict[str, Any]] = (
        LISTING | {"image_id": image_id, "specimen_id": specimen or barcode, "label": "predicted"}
        for image_id, specimen, barcode in sheets[["image_id", "specimen_id", "barcode"]].itertuples(index=False)
    )
    for settings in records:
        rows = join(rows, settings)
    found = {row["image_id"]: row["storageLocation"] for row in rows}
    return np.array([found.get(image_id, "") for image_id in sheets["image_id"]], dtype=object)


def _describe(answers: Answers, strata: np.ndarray, drawn: np.ndarray) -> list[dict[str, Any]]:
    """Answer, least and greatest log-odds, size and number drawn of each stratum."""
    rows = []
    for stratum, count in enumerate(drawn):
        inside = strata == stratum
        sure = answers.confidence[inside]
        answer = answers.classes[int(answers.answer[inside][0])]
        rows.append({"stratum": stratum + 1, "answer": answer, "least": float(sure.min()), "most": float(sure.max())})
        rows[-1] |= {"sheets": int(inside.sum()), "drawn": int(count)}
    return rows


def expect(answers: Answers, label: str, sheets: int) -> list[dict[str, Any]]:
    """How exactly the numbers will be known with so many sheets, if the model's probabilities are right here.

    One row for `sheets` and each of PLANNED that the collection has: half the width of the intervals at CONFIDENCE, in
    shares, of accuracy, sensitivity, precision and prevalence of the class.
    """
    own, named = answers.classes.index(label), answers.answer == answers.classes.index(label)
    chance = answers.probabilities[:, own]
    rows = []
    for count in sorted({sheets, *(n for n in PLANNED if n <= len(answers.sheets))}):
        strata = survey.cut(answers.answer, answers.confidence, count)
        sizes = np.bincount(strata)
        drawn = survey.allocate(sizes, count)
        weight, n = sizes / sizes.sum(), survey.effective(sizes, drawn)
        share = np.bincount(strata, chance) / sizes
        right = np.bincount(strata, answers.probabilities.max(axis=1)) / sizes
        inside = np.bincount(strata, named) > 0
        found = {
            "accuracy": survey.estimate_total(weight, right, n, CONFIDENCE),
            "sensitivity": survey.estimate_ratio(weight, inside, share, n, CONFIDENCE),
            "prevalence": survey.estimate_total(weight, share, n, CONFIDENCE),
        }
        rows.append({"sheets": count} | {name: round(one.width / 2, 4) for name, one in found.items()})
    return rows
