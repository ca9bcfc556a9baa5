"""Say how good a model is on a collection, from a sample that people looked at: a page, a table, a JSON."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens import __version__
from sheetlens.assess.answers import Answers, of_interest, open_answers
from sheetlens.assess.findings import CONFIDENCE, UNFIT, fit_thresholds, judge_guarantee, measure_classes
from sheetlens.assess.looks import Looked, check_belongs, read_looks, read_sample
from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.common.tables import safe_cell
from sheetlens.pages.render import safety_warning, write_page
from sheetlens.predict.model_package import AGAIN, read_facts
from sheetlens.statistics import survey

MANY_OPEN = 0.1  # share of a sample that nobody decided, from which on the page warns
SIDES = ("sensitivity", "specificity", "precision", "prevalence")
NUMBERS = ("class", "measure", "estimate", "low", "high", "elsewhere")


def write_assessment(
    run: Path, model: Path, sample: Path, decisions: Path | None, label: str | None, output: Path
) -> dict[str, Any]:
    """Write check.html, check.csv (NUMBERS) and check.json into `output`; return what the JSON says.

    `run` is a folder of `predict`, `model` the folder of the model that made it, `sample` the table of `write_sample`,
    `decisions` a table of corrections, or None for the run's own journal. Raises UserError where these do not belong
    together, and where too little was looked at to say anything.
    """
    answers, package = open_answers(run), read_facts(model)
    label = of_interest(answers.classes, label)
    fingerprint = files.sha256(model / "package.json")
    if answers.summary["model"]["package_sha256"] != fingerprint:
        raise UserError(f"the answers in {run} are not of the model in {model}: give the model that made them")
    if "guarantee" not in package or any(name not in package["errors"] for name in answers.classes):
        raise UserError(f"the model in {model} does not say how often it errs, or how surely: {AGAIN}")
    drawn_table, facts = read_sample(sample), check_belongs(sample, answers.digest)
    if len(drawn_table) != facts["drawn"]:
        raise UserError(
            f"{sample} has {len(drawn_table)} sheets of the {facts['drawn']} that were drawn: use the table as"
            " `sheetlens sample` wrote it"
        )
    looked = read_looks(run, decisions, list(drawn_table["image_id"]))
    strata, rows, labels = _arrange(answers, drawn_table, looked)
    wrong = labels != np.array(answers.classes, dtype=object)[answers.answer[rows]]
    classes = measure_classes(answers, strata, rows, labels, package)
    named = np.bincount(answers.answer, minlength=len(answers.classes))
    values: dict[str, Any] = {
        "model": {"package_sha256": fingerprint, "title": package["title"], "classes": answers.classes},
        "predictions_sha256": answers.digest,
        "label": label,
        "sheets": len(answers.sheets),
        "left_out": answers.left_out,
        "named": dict(zip(answers.classes, map(int, named), strict=True)),
        "drawn": len(drawn_table),
        "looked_at": len(rows),
        "open": looked.open,
        "agreement": looked.agreement,
        "blind": looked.blind,
        "confidence": CONFIDENCE,
        "certainty": package["guarantee"],
        "accuracy": classes[label]["accuracy"]
        if len(answers.classes) == 2
        else _accuracy(answers, strata, rows, wrong),
        "classes": classes,
        "guarantee": judge_guarantee(answers, strata, rows, labels, package),
        "thresholds": fit_thresholds(answers, strata, rows, wrong, package),
        "strata": _strata(facts, strata, rows, wrong),
        "looks": _looks(answers, rows, labels),
        "version": __version__,
    }
    files.write_json(output / "check.json", values)
    files.write_table(output / "check.csv", pd.DataFrame(_rows(values), columns=list(NUMBERS)).map(safe_cell))
    undecided = sum(looked.open.values())
    write_page(
        "check.html",
        output / "check.html",
        **values,
        sides=SIDES,
        undecided=undecided,
        many_open=undecided > MANY_OPEN * len(drawn_table),
        unfit=UNFIT,
        warning=safety_warning(answers.classes),
        seed=facts.get("seed"),
        cabinets=facts.get("cabinets", 0),
    )
    return values


def _arrange(answers: Answers, sample: pd.DataFrame, looked: Looked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The stratum of each sheet, the rows that were decided, and their labels; strata without any are merged.

    A stratum of which nobody decided a sheet joins the next one of the same answer, so that something is known of it.
    """
    places = {name: row for row, name in enumerate(answers.sheets["image_id"])}
    if unknown := [name for name in sample["image_id"] if name not in places]:
        raise UserError(f"{len(unknown)} sheets of the sample are not in this run, '{unknown[0]}' among them")
    strata = survey.cut(answers.answer, answers.confidence, len(sample))
    decided = [name for name in sample["image_id"] if name in looked.labels]
    rows = np.array([places[name] for name in decided], int)
    labels = np.array([looked.labels[name] for name in decided], dtype=object)
    order = np.argsort(rows)
    return merge_strata(strata, answers.answer, rows), rows[order], labels[order]


def merge_strata(strata: np.ndarray, answer: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Strata, int, shape (N,), each with one of `rows` at least: an empty one joins its neighbour of the same answer.

    Raises UserError where no sheet of an answer was decided.
    """
    joined = strata.copy()
    for one in np.unique(answer):
        inside = np.unique(strata[answer == one])
        known = np.intersect1d(inside, strata[rows])
        if not len(known):
            raise UserError(
                "no sheet of one of the model's answers was decided, so nothing can be said of it: look at all sheets"
                " of the sample"
            )
        for stratum in np.setdiff1d(inside, known):
            joined[strata == stratum] = known[np.abs(known - stratum).argmin()]
    return np.unique(joined, return_inverse=True)[1].reshape(-1)


def _accuracy(answers: Answers, strata: np.ndarray, rows: np.ndarray, wrong: np.ndarray) -> dict[str, float | None]:
    """The accuracy over more than two classes."""
    sizes, drawn = np.bincount(strata), np.bincount(strata[rows])
    right = np.bincount(strata[rows], ~wrong) / drawn
    one = survey.estimate_total(sizes / sizes.sum(), right, survey.effective(sizes, drawn), CONFIDENCE)
    return {"estimate": one.share, "low": one.low, "high": one.high}


def _strata(facts: dict[str, Any], strata: np.ndarray, rows: np.ndarray, wrong: np.ndarray) -> list[dict[str, Any]]:
    """The strata as they were drawn, with the sheets decided and those wrong; merged ones as they are now."""
    sizes, drawn = np.bincount(strata), np.bincount(strata[rows], minlength=strata.max() + 1)
    errors = np.bincount(strata[rows], wrong, strata.max() + 1).astype(int)
    told = facts.get("strata", [])
    plain = len(told) == len(sizes)
    return [
        {
            "answer": told[number]["answer"] if plain else "",
            "sheets": int(size),
            "looked_at": int(count),
            "wrong": int(error),
            "least": told[number]["least"] if plain else None,
        }
        for number, (size, count, error) in enumerate(zip(sizes, drawn, errors, strict=True))
    ]


def _looks(answers: Answers, rows: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """The sheets that were looked at, each with the number of sheets that it stands for among those of its answer."""
    some = answers.sheets.iloc[rows]
    return [
        {"image_id": image_id, "barcode": barcode, "label": label}
        for image_id, barcode, label in zip(some["image_id"], some["barcode"], labels, strict=True)
    ]


def _rows(values: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [{"class": "", "measure": "accuracy"} | values["accuracy"]]
    for name, found in values["classes"].items():
        rows += [
            {"class": name, "measure": side} | {key: found[side].get(key) for key in NUMBERS[2:]} for side in SIDES
        ]
    return rows
