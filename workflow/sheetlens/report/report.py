"""Write the report: one self-contained page for a person who has not read the paper."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sheetlens.audit.training import collapsed
from sheetlens.common.files import read_json, read_table
from sheetlens.common.refusals import Tally, tally
from sheetlens.config import LIMITS, Limits
from sheetlens.evaluate.results import Outcome, SheetPictures, average_sheets, read_manifest, read_outcome, read_tested
from sheetlens.fetch.summary import left_out
from sheetlens.figure.catalogue import FIGURES, names
from sheetlens.pages.render import SPACE, embed_figure, interval, of_report, write_page
from sheetlens.pages.thumbnails import embed_picture, embed_refused
from sheetlens.report.credits import compare_routes, count_licences
from sheetlens.report.result import describe_result
from sheetlens.report.uncertainty import PROTOCOLS, describe_evidence

REFUSED = 20  # refused files shown for each data set
GALLERY = 6  # pictures in a gallery
CURVES = ("seeds", "risk", "reliability")  # figures of when to trust an answer
PLACED = {"1", "2", "history", *CURVES, *names("audits")}  # figures that have their place on a page
FURTHER = [name for name in FIGURES if name not in PLACED]
THUMBNAIL = 96  # pixels on the longer side of a refused picture
NETWORKS = {
    "table1": "the network of the paper's Table 1: four convolutional layers, two linear ones",
    "table2": "the network of the paper's Table 2: two convolutional layers, two linear ones",
    "features": "a backbone pretrained on photographs of things (EfficientNet-Lite0, ImageNet), of which only the last"
    " layer was trained on these sheets: the choice for a few hundred sheets",
}


def write_report(
    evaluations: Sequence[Path],
    output: Path,
    study: str,
    results: Path = Path("results"),
    limits: Limits = LIMITS,
) -> None:
    """Write the page from the evaluations, the files they name and the figures under `results`.

    `study` is "paper", "demo" or "own". Needs `results/figures/figure-1` and `figure-2` (SVG, PNG, CSV) and
    each data set's `figures/figure-history`, those of CURVES and FURTHER; raises FileNotFoundError where one is
    missing. The page loads nothing and runs nothing, and the same inputs give the same bytes.
    """
    outcomes: dict[Path, list[Outcome]] = {}  # by data set, the headline's protocol first
    for path in evaluations:
        outcome = read_outcome(path, results)
        outcomes.setdefault(outcome.folder, []).append(outcome)
    write_page(
        "report.html",
        output,
        study=study,
        navigation=of_report({folder.name: of_one[0].title for folder, of_one in outcomes.items()}),
        datasets=[describe_dataset(of_dataset, study, limits) for of_dataset in outcomes.values()],
        stains=any(about_stains(of_dataset[0]) for of_dataset in outcomes.values()),
        figure_1=embed_figure(results / "figures" / "figure-1"),
        figure_2=embed_figure(results / "figures" / "figure-2"),
        panels=list(csv.DictReader(io.StringIO((results / "figures" / "figure-1.csv").read_text("utf-8")))),
    )


def describe_dataset(outcomes: list[Outcome], study: str, limits: Limits) -> dict[str, Any]:
    """Gather what the page says of one data set; the keys are the names in the template.

    Of several protocols the first is the headline's, the others are set beside it.
    """
    outcome, evaluation = outcomes[0], outcomes[0].evaluation
    manifest = read_manifest(outcome)
    pack = SheetPictures(outcome)
    averaged = average_sheets(read_tested(outcome), outcome.classes)
    models = [
        model
        | {
            "facts": read_json(outcome.model_folder(model) / "model.json"),
            "collapsed": collapsed(model),
        }
        for model in evaluation["models"]
    ]
    return {
        "evaluation": evaluation,
        "title": outcome.title,
        "two": len(outcome.classes) == 2,
        "result": describe_result(outcomes, study, manifest),
        "missed": missed_stains(evaluation),
        "intake": count_files(manifest, outcome.classes),
        "tally": count_reasons(manifest),
        "left_out": left_out(outcome.folder / "citation.json"),
        "refused": show_refused(outcome, manifest, limits),
        "parts": count_parts(outcome),
        "measures": list_measures([one.evaluation for one in outcomes]),
        "protocols": [PROTOCOLS[one.evaluation["protocol"]] for one in outcomes],
        "drawn": next((one.evaluation for one in outcomes if one.evaluation["protocol"] == "random"), evaluation),
        "verdict": read_json(outcome.folder / "verdict.json"),
        "models": models,
        "facts": models[0]["facts"],
        "network": NETWORKS.get(evaluation["network"], evaluation["network"]),
        "galleries": show_galleries(averaged, pack, outcome.classes),
        "tested": len(averaged),
        "mistaken": int((averaged["answer"] != averaged["label"]).sum()),
        "credits": count_licences(manifest),
        "credits_file": f"{outcome.results.name}/{evaluation['dataset']}/credits.csv",
        "routes": compare_routes(manifest),
        "history": embed_figure(outcome.folder / "figures" / "figure-history"),
        "trust": describe_evidence(outcomes),
        "curves": {name: embed_figure(outcome.folder / "figures" / f"figure-{name}") for name in CURVES},
        "further": {
            name: (FIGURES[name].caption, embed_figure(outcome.folder / "figures" / f"figure-{name}"))
            for name in FURTHER
        },
        "files": list_files(outcome),
    }


def about_stains(outcome: Outcome) -> bool:
    """Whether the classes are about stains, so that the page must warn."""
    return any("stain" in name.lower() for name in outcome.classes)


def missed_stains(evaluation: dict[str, Any]) -> tuple[int, int] | None:
    """Count the stained sheets that were called unstained, and all stained ones, over all seeds."""
    classes = evaluation["classes"]
    if not {"stained", "unstained"} <= set(classes):
        return None
    row = evaluation["confusion"][classes.index("stained")]
    return row[classes.index("unstained")], sum(row)


def count_files(manifest: pd.DataFrame, classes: list[str]) -> list[dict[str, Any]]:
    """Count files found, used and refused for each class, with their sum as the last row."""
    rows = []
    for name in [*classes, *sorted(set(manifest["label"]) - set(classes))]:
        files = manifest[manifest["label"] == name]
        used = int((files["status"] == "ok").sum())
        rows.append({"label": name, "found": len(files), "used": used, "refused": len(files) - used})
    total = {key: sum(row[key] for row in rows) for key in ("found", "used", "refused")}
    return [*rows, {"label": None} | total]


def count_reasons(manifest: pd.DataFrame) -> Tally:
    """How many files were found, used and refused, with the main reasons, as `fetch` counts them."""
    rows: list[dict[Any, Any]] = manifest.to_dict("records")
    return tally(rows)


def show_refused(outcome: Outcome, manifest: pd.DataFrame, limits: Limits) -> dict[str, Any]:
    """List the refused files with their reasons, with a small picture where the file opens."""
    refused = manifest[manifest["status"] != "ok"].sort_values("image_id")
    shown = []
    for file in refused.head(REFUSED).to_dict("records"):
        code = file.get("reason_code", "")
        picture = embed_refused(outcome.results.parent / file["path"], code, THUMBNAIL, limits)
        shown.append({"name": file["image_id"], "reason": file["reason"], "picture": picture})
    return {"shown": shown, "more": len(refused) - len(shown)}


def count_parts(outcome: Outcome) -> dict[str, Any]:
    """Count the sheets of each class in each part of the first split, and specimens in several parts."""
    evaluation = outcome.evaluation
    name = f"{evaluation['protocol']}-{evaluation['seeds'][0]}.tsv"
    split = read_table(outcome.folder / "splits" / name)
    known = split[split["specimen_id"] != ""]
    counts = pd.crosstab(split["label"], split["part"])
    parts = ["train", "validation", "test"]
    return {
        "counts": counts.reindex(index=outcome.classes, columns=parts, fill_value=0),
        "sums": [int((split["part"] == part).sum()) for part in parts],
        "sheets": len(split),
        "specimens": int(known["specimen_id"].nunique()),
        "straddling": int((known.groupby("specimen_id")["part"].nunique() > 1).sum()),
    }


def list_measures(evaluations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Build the rows of the table "paper / here"; an interval is None where there is none.

    `here` holds the values under each protocol, the headline's first.
    """
    evaluation = evaluations[0]
    aside = f"{100 * evaluation['set_aside_fraction']:g}{SPACE}%"
    paper = evaluation.get("paper") or {}
    rows = []
    for name, key, bounds in (
        ("accuracy", "accuracy", "accuracy"),
        (f"accuracy with the {aside} least confident set aside", "kept_accuracy", "kept"),
        (f"error rate among the {aside} set aside", "aside_error", "aside"),
    ):
        values = [one[key] or {} for one in evaluations]
        rows.append(
            {
                "name": name,
                "paper": paper.get(key),
                "paper_interval": interval(paper.get(f"{bounds}_low"), paper.get(f"{bounds}_high")),
                "here": [
                    {
                        "mean": here.get("mean"),
                        "interval": interval(here.get("low"), here.get("high")),
                        "sd": here.get("sd"),
                    }
                    for here in values
                ],
            }
        )
    return rows


def show_galleries(averaged: pd.DataFrame, pack: SheetPictures, classes: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Choose the pictures to show: surest mistakes, least sure, surest right of each class."""
    surest = averaged.sort_values(["certainty", "image_id"], ascending=[False, True])
    mistakes = surest[surest["answer"] != surest["label"]]
    right = surest[surest["answer"] == surest["label"]]
    each = max(1, GALLERY // len(classes))
    chosen = {
        "mistakes": mistakes.head(GALLERY),
        "unsure": averaged.sort_values(["certainty", "image_id"]).head(GALLERY),
        "right": right.groupby("label", sort=True).head(each).sort_values("label", kind="stable").head(2 * GALLERY),
    }
    return {
        name: [
            {
                "name": sheet["image_id"],
                "label": sheet["label"],
                "answer": sheet["answer"],
                "certainty": sheet["certainty"],
                "picture": embed_picture(pack.picture(sheet["image_id"])),
            }
            for sheet in sheets.to_dict("records")
        ]
        for name, sheets in chosen.items()
    }


def list_files(outcome: Outcome) -> list[tuple[str, str]]:
    """Name the file that each number comes from, relative to the project's folder."""
    evaluation = outcome.evaluation
    folder = f"{outcome.results.name}/{evaluation['dataset']}"
    models = f"{folder}/models/{evaluation['network']}/{evaluation['protocol']}-SEED"
    found = [("where the sheets were found, and what to cite", f"{folder}/citation.json")]
    return [
        ("files found, used and refused", f"{folder}/manifest.parquet"),
        ("parts of each split", f"{folder}/splits/{evaluation['protocol']}-SEED.tsv"),
        ("accuracy, intervals, confusion matrix", f"{folder}/evaluation/{outcome.path.name}"),
        ("probability of each sheet", f"{models}/predictions.parquet"),
        ("settings, versions, device", f"{models}/model.json"),
        ("course of the training", f"{models}/history.csv"),
        ("licence and rights holder of each picture", f"{folder}/credits.csv"),
        *(found if (outcome.folder / "citation.json").exists() else []),
    ]
