"""What people decided about the sheets of a sample: one class for each, or why there is none."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.tables import plain_cell, read_rows
from sheetlens.prepare.corrections import read_corrections
from sheetlens.review.decisions import NAME, Entry, read_entries, standing
from sheetlens.statistics.labelling import kappa

SAMPLE = {"image_id": "image_id", "stratum": "stratum", "inclusion_probability": "inclusion_probability"}


@dataclass(frozen=True)
class Looked:
    """`labels` has the class of each sheet of the sample that was decided, by image_id; `open` why others were not.

    `agreement` tells of those that two people looked at: sheets, the share on which they agree, Cohen's kappa; None
    where there are none, or where it is not known who said what. `blind` counts the decided sheets on which everybody
    decided before the model's answer was shown; None where that is not known.
    """

    labels: dict[str, str]
    open: dict[str, int]
    agreement: dict[str, float] | None
    blind: int | None


def read_sample(path: Path) -> pd.DataFrame:
    """Read image_id and stratum (int, from 0) of a sample; UserError where it has no rows, or two of one sheet."""
    rows = [{name: plain_cell(value) for name, value in row.items()} for row in read_rows(path, SAMPLE)]
    table = pd.DataFrame(rows, columns=list(SAMPLE))
    if table.empty:
        raise UserError(f"{path} has no sheets: draw a sample with `sheetlens sample`")
    if table["image_id"].duplicated().any():
        twice = table.loc[table["image_id"].duplicated(), "image_id"].iloc[0]
        raise UserError(f"{path} has the sheet '{twice}' twice: use the table as `sheetlens sample` wrote it")
    return table


def read_looks(run: Path, decisions: Path | None, wanted: list[str]) -> Looked:
    """Read the decisions on the `wanted` sheets: from the table `decisions`, or from the run's own journal.

    A sheet is decided when everybody who looked at it and was sure gave it the same class, which may be the one that it
    had. Raises UserError where none is.
    """
    given_here = {} if decisions else standing(read_entries(run / NAME))
    found = _from_table(decisions) if decisions else _labels(given_here)
    labels: dict[str, str] = {}
    undecided: Counter[str] = Counter()
    for image_id in wanted:
        given = {label for label in found.get(image_id, {}).values() if label}
        if len(given) == 1:
            labels[image_id] = given.pop()
        elif given:
            undecided["reviewers disagree"] += 1
        else:
            undecided["nobody could tell" if image_id in found else "not looked at"] += 1
    if not labels:
        where = decisions or run / NAME
        raise UserError(f"no sheet of the sample is decided in {where}: look at them with `sheetlens review` first")
    twice = [sorted(found[image_id].items())[:2] for image_id in wanted if len(found.get(image_id, {})) > 1]
    agreed, chance_free = kappa(*([pair[place][1] or "unsure" for pair in twice] for place in (0, 1)))
    agreement = {"sheets": len(twice), "agreed": agreed, "kappa": chance_free} if twice else None
    blind = sum(all(map(_is_blind, given_here[image_id].values())) for image_id in labels) if given_here else None
    return Looked(labels, dict(undecided), agreement, blind)


def _labels(given: dict[str, dict[str, Entry]]) -> dict[str, dict[str, str]]:
    """Image -> reviewer -> class, or "" for unsure."""
    return {
        image_id: {reviewer: entry["label"] for reviewer, entry in made.items()} for image_id, made in given.items()
    }


def _is_blind(entry: Entry) -> bool:
    return (entry.get("chosen") or {}).get("blind") is True


def _from_table(path: Path) -> dict[str, dict[str, str]]:
    """The same of a table of corrections, as far as it tells: two classes stand for a disagreement."""
    found = {}
    for image_id, row in read_corrections(path).items():
        both = {"one": "a class", "another": "another class"}
        found[image_id] = both if row["decision"] == "disagreement" else {"": row["label_after"]}
    return found


def check_belongs(path: Path, digest: str) -> dict[str, object]:
    """What stands beside a sample (sample.json); UserError where it was drawn from another run's answers."""
    facts = files.read_object(path.with_suffix(".json"), ("predictions_sha256", "drawn"))
    if facts.get("predictions_sha256") != digest:
        raise UserError(
            f"{path} was drawn from other answers than those in this run: draw a sample of these, or give the run that"
            " it belongs to"
        )
    return facts
