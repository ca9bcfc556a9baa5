"""Write the documents as pages in the report's look."""

from pathlib import Path
from typing import Any

import pandas as pd

from sheetlens import __version__
from sheetlens.common.files import read_table
from sheetlens.common.tables import plain_cell
from sheetlens.document.reforms import answer_items
from sheetlens.document.study import Study
from sheetlens.figure.catalogue import FIGURES, names
from sheetlens.pages.render import embed_figure, interval, of_dataset, write_page
from sheetlens.report.uncertainty import PROTOCOLS, promise

PLACED = ("shortcuts", "saliency", "mistakes", "unsure")  # figures that have their place on the audits' page
SEVERITIES = {"alarm": "alarm", "note": "note", "ok": "nothing found"}
FITS = {  # by `images.fit`: what a sheet becomes
    "squash": "stretched to the square; nothing is cropped",
    "letterbox": "fitted into the square, the rest filled with white; nothing is cropped",
    "crop_sheet": "the camera's border and colour bar trimmed, the rest stretched to the square",
}
LISTED = 15  # labels shown for review; the table holds all
TOP = 8  # values of a text that a datasheet names


def write_documents(study: Study, folder: Path) -> None:
    """Write audits.html, model-card.html, datasheet.html and reforms.html."""
    common = {
        "study": study,
        "evaluation": study.outcome.evaluation,
        "folder": study.folder,
        "drawn": study.drawn,
        "stains": any("stain" in name.lower() for name in study.outcome.classes),
        "version": __version__,
    }
    documents = {"audits": _audits, "model-card": _model_card, "datasheet": _datasheet, "reforms": _reforms}
    for name, gather in documents.items():
        write_page(f"{name}.html", folder / f"{name}.html", navigation=of_dataset(name), **common, **gather(study))


def _audits(study: Study) -> dict[str, Any]:
    order = list(SEVERITIES)
    findings = sorted(study.findings, key=lambda pair: (order.index(pair[1].severity), pair[0]))
    labels = read_table(study.outcome.folder / "audits" / "labels.csv").map(plain_cell).astype({"probability": float})
    figures = {name: embed_figure(study.outcome.folder / "figures" / f"figure-{name}") for name in names("audits")}
    return {
        "findings": findings,
        "severities": SEVERITIES,
        "figures": figures,
        "further": {name: FIGURES[name].caption for name in figures if name not in PLACED},
        "labels": labels.head(LISTED).to_dict("records"),
        "judged": len(labels),
    }


def _model_card(study: Study) -> dict[str, Any]:
    evaluation = study.outcome.evaluation
    measures = [
        (name, value["mean"], interval(value["low"], value["high"]), value["sd"])
        for name, value in (
            ("accuracy", evaluation["accuracy"]),
            ("accuracy with the least confident set aside", evaluation["kept_accuracy"]),
        )
        if value
    ]
    classes = evaluation["classes"]
    shares = [
        (name, row[number] / max(sum(row), 1), sum(row))
        for number, (name, row) in enumerate(zip(classes, evaluation["confusion"], strict=True))
    ]
    alarms = [finding for _, finding in study.findings if finding.severity == "alarm"]
    return {
        "measures": measures,
        "shares": shares,
        "alarms": alarms,
        "facts": study.models[0],
        "models": study.models,
        "promise": promise(evaluation),
        "protocol": PROTOCOLS[evaluation["protocol"]],
    }


def _datasheet(study: Study) -> dict[str, Any]:
    used = study.used
    counts = [
        (str(label), int((group["status"] == "ok").sum()), int((group["status"] != "ok").sum()))
        for label, group in study.manifest.groupby("label", sort=True)
    ]
    texts = ("licence", "rights_holder", "institutionCode", "recordedBy", "family", "route", "format")
    known = [(name, _commonest(used[name])) for name in texts if name in used and used[name].fillna("").ne("").any()]
    numbers = [
        (name, int(values.min()), int(values.median()), int(values.max()))
        for name in ("width", "height", "bytes")
        if name in used and len(values := pd.to_numeric(used[name]).dropna())
    ]
    years = pd.to_numeric(used.get("eventDate", pd.Series(dtype=str)).astype(str).str[:4], errors="coerce").dropna()
    reasons = study.manifest.loc[study.manifest["status"] != "ok", "reason"].value_counts()
    return {
        "counts": counts,
        "texts": known,
        "numbers": numbers,
        "years": (int(years.min()), int(years.max())) if len(years) else None,
        "fit": FITS[study.models[0]["fit"]],
        "size": study.models[0]["image_size"],
        "kept": int(used["path"].fillna("").ne("").sum()),
        "reasons": sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0])),
        "settings": study.settings.datasets[study.name].source_settings.model_dump()
        if study.source in ("demo", "folder")
        else None,
    }


def _commonest(values: pd.Series) -> tuple[list[tuple[str, int]], int]:
    counts = values.fillna("").replace("", "not stated").value_counts()
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0])))
    return [(str(name), int(count)) for name, count in ordered[:TOP]], max(0, len(ordered) - TOP)


def _reforms(study: Study) -> dict[str, Any]:
    items = answer_items(study)
    return {"modules": items, "open": sum(item.open for module in items.values() for item in module)}
