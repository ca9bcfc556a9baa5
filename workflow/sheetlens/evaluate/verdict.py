"""Is the paper reproduced? One verdict for each data set, with the reason."""

import logging
from pathlib import Path
from typing import Any

from sheetlens.common import files
from sheetlens.config import SOURCES
from sheetlens.config.networks import PAPER_NETWORKS
from sheetlens.statistics.clusters import Size
from sheetlens.statistics.intervals import clustered_interval

log = logging.getLogger(__name__)
REPRODUCED, NOT_REPRODUCED, TOO_FEW = "reproduced", "not reproduced", "too few sheets to tell"
NOT_COMPARABLE = "not comparable"
UNKNOWN = ("here", "files")  # kinds of source that do not say which sheets they bring
DOUBT = 0.05  # chance to call different results the same: two one-sided tests (Schuirmann 1987)
MEASURES = (
    ("accuracy", "accuracy", "accuracy"),
    ("accuracy with the least confident set aside", "kept_accuracy", "kept"),
)


def judge_reproduction(evaluation: dict[str, Any], source: str) -> dict[str, Any]:
    """Set an evaluation beside the paper's intervals: verdict, sentence and the intervals compared.

    `source` is where the sheets come from. The question is one of equivalence: a measure is the paper's when its whole
    interval (at 1 - 2 DOUBT) lies within `margin` of the printed value, and is not when it lies outside; else the
    sheets are too few to tell. So few sheets never make a reproduction. Drawn sheets, photographs of anybody's, other
    networks than the paper's and other protocols than its random split are never comparable, however close the numbers
    are. Where the paper's own sheets are not published (`figshare` has those that are) the sentence says so.
    """
    paper = evaluation["paper"]
    why = ""
    if paper is None:
        why = "the paper has no numbers for these sheets"
    elif SOURCES[source] == "drawn":
        why = "the sheets are drawn by a program, so nearness to the paper's numbers means nothing"
    elif SOURCES[source] in UNKNOWN:
        why = "nothing shows that these photographs are those of the paper"
    elif evaluation["protocol"] != "random":
        why = f"the paper split at random, this is the protocol '{evaluation['protocol']}'"
    elif evaluation["network"] not in PAPER_NETWORKS:
        why = f"the paper had another network than '{evaluation['network']}'"
    compared = {} if paper is None else {name: _compare(evaluation, *keys) for name, *keys in MEASURES}
    verdict = NOT_COMPARABLE
    if not why:
        verdict, why = _weigh(compared, 100 * evaluation["margin"])
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


def _weigh(compared: dict[str, dict[str, Any]], points: float) -> tuple[str, str]:
    """The verdict on all measures together, and why."""
    apart = [f"{name} is {values['apart']} the paper's" for name, values in compared.items() if values["apart"]]
    if apart:
        return NOT_REPRODUCED, f"{' and '.join(apart)} by more than the margin of {points:g} points"
    open_ = [name for name, values in compared.items() if not values["same"]]
    if open_:
        sheets = min(values["effective"] or 0 for values in compared.values())
        why = f"the interval of {' and of '.join(open_)} reaches beyond {points:g} points from the paper's value"
        return TOO_FEW, f"{why}, as the test is worth {sheets:,.0f} independent sheets"
    return REPRODUCED, f"every interval lies within {points:g} points of the paper's value"


def _compare(evaluation: dict[str, Any], key: str, bounds: str) -> dict[str, Any]:
    here, paper, margin = evaluation[key], evaluation["paper"], evaluation["margin"]
    low = high = None
    if here["mean"] is not None:
        low, high = clustered_interval(here["mean"], Size(here["effective"], here["freedom"]), 1 - 2 * DOUBT)
    below = high is not None and high < paper[key] - margin
    above = low is not None and low > paper[key] + margin
    return {
        "here": here["mean"],
        "here_low": low,
        "here_high": high,
        "effective": here["effective"],
        "paper": paper[key],
        "paper_low": paper[f"{bounds}_low"],
        "paper_high": paper[f"{bounds}_high"],
        "same": low is not None and high is not None and paper[key] - margin <= low and high <= paper[key] + margin,
        "apart": "below" if below else "above" if above else "",
    }


def write_verdict(source: str, evaluation: Path, output: Path) -> None:
    """Write whether the paper is reproduced as JSON."""
    verdict = judge_reproduction(files.read_json(evaluation), source)
    files.write_json(output, verdict)
    log.info("%s", verdict["sentence"])
