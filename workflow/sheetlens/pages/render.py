"""What all pages share: their look, how numbers are written, pictures inside the page."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sheetlens.common.files import whole
from sheetlens.pages.thumbnails import data_uri

SPACE = "\N{NO-BREAK SPACE}"
NOTHING = "\N{EN DASH}"
STAINED = "stained"  # the class of treated sheets, as the paper calls it
SAFETY_WARNING = (
    "Unstained is not safe: mercury vapour reaches untreated sheets in the same cabinet, and the network misses some."
)

PAGES = {  # of a data set, beside the report: file -> name in the navigation
    "quality": "Photographs",
    "audits": "Audits",
    "model-card": "Model card",
    "datasheet": "Datasheet",
    "reforms": "REFORMS checklist",
}
Navigation = list[tuple[str, list[tuple[str, str]]]]  # rows of title and links; the page itself has no address


def safety_warning(classes: Collection[str]) -> str:
    """What a page about treated sheets says at its foot; nothing where the classes are others, such as taxa."""
    return SAFETY_WARNING if STAINED in classes else ""


def of_report(titles: Mapping[str, str]) -> Navigation:
    """The navigation of the report; `titles` are those of the data sets by name."""
    rows: Navigation = [("", [("Report", "")])]
    for dataset, title in titles.items():
        rows.append((title, [(name, f"{dataset}/{file}.html") for file, name in PAGES.items()]))
    return rows


def of_dataset(here: str) -> Navigation:
    """The navigation of one of PAGES, which leads to the report and to the others of the same data set."""
    links = [(name, "" if file == here else f"{file}.html") for file, name in PAGES.items()]
    return [("", [("Report", "../report.html"), *links])]


def write_page(template: str, output: Path, **values: Any) -> None:
    """Fill a template and write the page: it loads nothing, runs nothing; same values, same bytes."""
    environment = Environment(
        loader=PackageLoader("sheetlens.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, probability=probability, settings=settings)
    page = environment.get_template(template).render(**values)
    with whole(output) as part:
        part.write_text(page, encoding="utf-8")


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share as per cent: 0.927 becomes "92.7 %"."""
    if share is None or math.isnan(share):
        return NOTHING
    return f"{100 * share:.{digits}f}{SPACE}%"


def interval(low: float | None, high: float | None) -> str | None:
    """Write two shares as an interval: "88.4-91.4 %" with an en dash."""
    return None if low is None or high is None else f"{100 * low:.1f}{NOTHING}{percent(high)}"


def probability(value: float) -> str:
    """Write a probability with three digits, and never as a certainty that no model has."""
    return f"over{SPACE}0.999" if value > 0.9995 else f"{value:.3f}"


def settings(values: Mapping[str, Any], between: str = "; ") -> str:
    """Settings as words: {"batch_size": 32, "recipe": {"flip": False}} becomes "batch size 32; recipe (flip False)"."""
    parts = (f"({settings(value, ', ')})" if isinstance(value, Mapping) else value for value in values.values())
    return between.join(f"{name.replace('_', ' ')} {part}" for name, part in zip(values, parts, strict=True))


def embed_figure(stem: Path) -> str:
    """Turn a figure into a data URI: its SVG or its PNG, whichever is smaller."""
    vector, raster = (stem.with_name(f"{stem.name}.{ending}").read_bytes() for ending in ("svg", "png"))
    return data_uri("svg+xml", vector) if len(vector) < len(raster) else data_uri("png", raster)
