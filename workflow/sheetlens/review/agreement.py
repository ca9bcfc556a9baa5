"""How far two reviewers agree who decided on the same sheets."""

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import pandas as pd

from sheetlens.common.files import write_table
from sheetlens.common.tables import safe_cell
from sheetlens.review.decisions import Entry, standing
from sheetlens.statistics.labelling import kappa

COLUMNS = ("reviewer", "other", "sheets", "agreement", "kappa", "blind", "unsure")


def measure_agreement(entries: Iterable[Entry]) -> pd.DataFrame:
    """COLUMNS, a row for each two reviewers who decided on the same sheets, by what stands of their decisions.

    `sheets` got a class from both; `agreement` is the share of them that got the same one, `kappa` is Cohen's (NaN
    where it is not defined), `blind` counts those that both decided before they saw the model's prediction, and
    `unsure` further sheets of which one of the two, or both, were unsure.
    """
    given = list(standing(entries).values())
    rows = []
    for one, other in combinations(sorted({name for reviewers in given for name in reviewers}), 2):
        both = [(reviewers[one], reviewers[other]) for reviewers in given if one in reviewers and other in reviewers]
        classes = [pair for pair in both if all(entry["decision"] == "class" for entry in pair)]
        if both:
            agreed, value = kappa([first["label"] for first, _ in classes], [second["label"] for _, second in classes])
            blind = sum(all(_is_blind(entry) for entry in pair) for pair in classes)
            rows.append((one, other, len(classes), agreed, value, blind, len(both) - len(classes)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_agreement(entries: Iterable[Entry], output: Path) -> list[str]:
    """Write the table (.csv) and return it in sentences; where no two reviewers met there is neither."""
    found = measure_agreement(entries)
    if found.empty:
        output.unlink(missing_ok=True)  # it may be there from before a decision was taken back
        return []
    write_table(output, found.round(4).map(safe_cell))
    return [_sentence(row) for _, row in found.iterrows()]


def _sentence(row: pd.Series) -> str:
    aside = f", {row['unsure']} more unsure" if row["unsure"] else ""
    met = f"{row['reviewer']} and {row['other']} gave {row['sheets']} of the same sheets a class{aside}"
    if not row["sheets"]:
        return met
    value = "not defined, as all got one class" if pd.isna(row["kappa"]) else f"{row['kappa']:.2f}"
    return f"{met}: agreement {row['agreement']:.1%}, Cohen's kappa {value}; both blind on {row['blind']}"


def _is_blind(entry: Entry) -> bool:
    return (entry.get("chosen") or {}).get("blind") is True
