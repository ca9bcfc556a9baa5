"""Is the paper reproduced? One verdict for each data set, with the reason."""

import logging
from pathlib import Path
from typing import Any

from sheetlens.common import files

log = logging.getLogger(__name__)

REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE = "reproduced", "not reproduced", "not comparable"
PAPERS = ("table1", "table2")  # its networks
UNKNOWN = ("folder", "iiif", "urls")  # sources that do not say which sheets they bring
FEWEST = 0.5  # share of the paper's test sheets: intervals of few sheets overlap anything
MEASURES = (
    ("accuracy", "accuracy", "accuracy"),
    ("accuracy with the least sure set aside", "kept_accuracy", "kept"),
)


def judge_reproduction(evaluation: dict[str, Any], source: str) -> dict[str, Any]:
    """Set an evaluation beside the paper's intervals: verdict, sentence and the intervals compared.

    `source` is where the sheets come from. The paper is reproduced when the interval of every measure overlaps the
    paper's. Drawn sheets, photographs of anybody's, other networks than the paper's, other protocols than its random
    split, and test parts with less than FEWEST of its sheets are never comparable, however close the numbers are. Where
    the paper's own sheets are not published (`figshare` has those that are) the sentence says so.
    """
    paper = evaluation["paper"]
    why = ""
    if paper is None:
        why = "the paper has no numbers for these sheets"
    elif source == "demo":
        why = "the sheets are drawn by a program, so nearness to the paper's numbers means nothing"
    elif source in UNKNOWN:
        why = "nothing shows that these photographs are those of the paper"
    elif evaluation["protocol"] != "random":
        why = f"the paper split at random, this is the protocol '{evaluation['protocol']}'"
    elif evaluation["network"] not in PAPERS:
        why = f"the paper had another network than '{evaluation['network']}'"
    elif (n := min(model["n"] for model in evaluation["models"])) < FEWEST * paper["test_sheets"]:
        why = f"{n:,} sheets were tested, the paper tested {paper['test_sheets']:,}"
    compared = {} if paper is None else {name: _compare(evaluation, *keys) for name, *keys in MEASURES}
    verdict = NOT_COMPARABLE
    if not why:
        apart = [name for name, values in compared.items() if not values["overlap"]]
        verdict = NOT_REPRODUCED if apart else REPRODUCED
        why = "every interval overlaps the paper's"
        if apart:
            sides = [f"{name} is {'below' if compared[name]['below'] else 'above'} the paper's" for name in apart]
            why = "the interval of " + " and that of ".join(sides)
        if source != "figshare":
            why += ", on sheets found by their records as the paper's were, not on its own, which are not published"
    return {
        "dataset": evaluation["dataset"],
        "network": evaluation["network"],
        "protocol": evaluation["protocol"],
        "verdict": verdict,
        "sentence": f"{verdict[:1].upper()}{verdict[1:]}: {why}.",
        "compared": compared,
    }


def _compare(evaluation: dict[str, Any], key: str, bounds: str) -> dict[str, Any]:
    here, paper = evaluation[key], evaluation["paper"]
    low, high = paper[f"{bounds}_low"], paper[f"{bounds}_high"]
    known = here["mean"] is not None
    return {
        "here": here["mean"],
        "here_low": here["low"],
        "here_high": here["high"],
        "paper": paper[key],
        "paper_low": low,
        "paper_high": high,
        "overlap": bool(known and here["low"] <= high and here["high"] >= low),
        "below": bool(known and here["high"] < low),
    }


def write_verdict(source: str, evaluation: Path, output: Path) -> None:
    """Write whether the paper is reproduced as JSON."""
    verdict = judge_reproduction(files.read_json(evaluation), source)
    files.write_json(output, verdict)
    log.info("%s", verdict["sentence"])
