"""Documents beside the report, for one data set each: audits and verdict, model card, datasheet, checklist.

Every number comes from a file below `results/`, and the page names it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sheetlens.audit.finding import Finding, read_finding
from sheetlens.common.files import read_json, read_table
from sheetlens.config import Settings
from sheetlens.evaluate.results import Outcome, read_outcome


@dataclass(frozen=True)
class Study:
    """What the documents of one data set are written from; `settings` is the whole config."""

    outcome: Outcome
    settings: Settings
    models: list[dict[str, Any]]
    manifest: pd.DataFrame
    verdict: dict[str, Any]
    findings: list[tuple[str, Finding]]

    @property
    def name(self) -> str:
        """The data set's name, which is also its folder's."""
        return str(self.outcome.evaluation["dataset"])

    @property
    def source(self) -> str:
        """Where the sheets come from: demo, folder, figshare, ..."""
        return self.settings.datasets[self.name].source

    @property
    def drawn(self) -> bool:
        """Whether a program drew the sheets."""
        return self.source == "demo"

    def finding(self, name: str) -> Finding | None:
        """What an audit found, by the name of its file without ending; None if it was not made."""
        return dict(self.findings).get(f"audits/{name}.json")

    @property
    def folder(self) -> str:
        """The folder of the data set's products, as the pages name it."""
        return f"{self.outcome.results.name}/{self.name}"

    @property
    def used(self) -> pd.DataFrame:
        """The rows of the manifest whose sheets were used."""
        return self.manifest[self.manifest["status"] == "ok"]


def read_study(evaluation: Path, settings: Settings, results: Path = Path("results")) -> Study:
    """Read the products of one data set: evaluation, models, manifest, verdict, findings."""
    outcome = read_outcome(evaluation, results)
    audits = outcome.folder / "audits"
    return Study(
        outcome=outcome,
        settings=settings,
        models=[read_json(outcome.model_folder(model) / "model.json") for model in outcome.evaluation["models"]],
        manifest=read_table(outcome.folder / "manifest.parquet"),
        verdict=read_json(outcome.folder / "verdict.json"),
        findings=[(f"audits/{path.name}", read_finding(path)) for path in sorted(audits.glob("*.json"))],
    )
