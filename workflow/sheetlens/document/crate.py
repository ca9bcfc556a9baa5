"""A Workflow Run RO-Crate: what was run on what, for machines.

Profiles Workflow Run Crate 0.5, Process Run Crate 0.5 and Workflow RO-Crate 1.0 on RO-Crate 1.1. The time of the
run is left out (the profile says SHOULD), so that the same inputs give the same bytes.
"""

import mimetypes
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from sheetlens import __version__
from sheetlens.common import files
from sheetlens.config import Settings

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
PAPER_DOI = "https://doi.org/10.3897/BDJ.5.e21139"
CODE_LICENCE = "https://spdx.org/licenses/MIT"
ACTION = "#run"
TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".safetensors": "application/octet-stream",
    ".tsv": "text/tab-separated-values",
    ".smk": "text/plain",
}


def write_crate(source: Path, settings: Settings, products: Sequence[Path], results: Path = Path("results")) -> None:
    """Write `ro-crate-metadata.json` into `results`, and the workflow that was run into `results/workflow/`.

    `source` is the workflow's folder (with Snakefile, CITATION.cff and workflow/rules), `products` are files below
    `results`. Every file stands in the crate with its size and SHA-256.
    """
    place = results / "workflow"
    shutil.rmtree(place, ignore_errors=True)
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    rules = sorted((source / "workflow/rules").glob("*.smk"))
    copies = [_copy(path, place / path.relative_to(source)) for path in (source / "Snakefile", *rules)]
    config = place / "config.json"
    files.write_json(config, settings.model_dump(mode="json", exclude={"fetch"}, exclude_none=True))
    main = crate.add_workflow(
        copies[0], copies[0].relative_to(results).as_posix(), main=True, lang="snakemake",
        properties=_facts(copies[0]) | {"name": "Sheetlens", "version": __version__},
    )  # fmt: skip
    for path in [*copies[1:], config, *sorted(products)]:
        crate.add_file(path, path.relative_to(results).as_posix(), properties=_facts(path))
    crate.name = f"Sheetlens: products of a run ({settings.study})"
    networks = ", ".join(sorted({dataset.network for dataset in settings.chosen.values()}))
    crate.description = (
        f"Convolutional networks ({networks}) read photographed herbarium sheets, as in Schuettpelz et al. 2017:"
        " image sets, models, evaluations, audits, figures and report."
    )
    crate.datePublished = _released(source / "CITATION.cff")
    licence = ContextEntity(crate, CODE_LICENCE, {"@type": "CreativeWork", "name": "MIT License (the workflow)"})
    crate.license = crate.add(licence)
    main["license"] = licence
    paper = {"@type": "ScholarlyArticle", "name": "Schuettpelz et al. 2017, Biodiversity Data Journal 5: e21139"}
    crate.root_dataset["citation"] = crate.add(ContextEntity(crate, PAPER_DOI, paper))
    crate.root_dataset["conformsTo"] = [
        crate.add(ContextEntity(crate, url, {"@type": "CreativeWork", "name": name, "version": version}))
        for url, (name, version) in PROFILES.items()
    ]
    described = {
        "@type": "CreateAction",
        "name": f"Run of Sheetlens {__version__}, study '{settings.study}'",
        "description": f"Data sets: {', '.join(settings.chosen)}; settings in {config.relative_to(results)}",
    }
    action = crate.add(ContextEntity(crate, ACTION, described))
    action["instrument"] = main
    action["object"] = [crate.get(config.relative_to(results).as_posix())]
    action["result"] = [crate.get(path.relative_to(results).as_posix()) for path in sorted(products)]
    crate.root_dataset["mentions"] = action
    files.write_json(results / "ro-crate-metadata.json", _ordered(crate.metadata.generate()))


def _copy(path: Path, target: Path) -> Path:
    with files.whole(target) as part:
        part.write_bytes(path.read_bytes())
    return target


def _facts(path: Path) -> dict[str, Any]:
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    size = str(path.stat().st_size)
    return {"name": path.name, "encodingFormat": kind, "contentSize": size, "sha256": files.sha256(path)}


def _released(citation: Path) -> str:
    """The day of the workflow's version, from its CITATION.cff."""
    found = re.search(r"^date-released: (\d{4}-\d{2}-\d{2})$", citation.read_text("utf-8"), re.MULTILINE)
    if not found:
        raise ValueError(f"{citation} has no date-released")
    return found[1]


def _ordered(document: dict[str, Any]) -> dict[str, Any]:
    """The same document with the entities in the order of their names."""
    return document | {"@graph": sorted(document["@graph"], key=lambda entity: entity["@id"])}
