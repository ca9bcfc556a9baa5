"""Write the quality page of a data set: what came in, what was refused and why, sheets of each class at random."""

from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy.stats import chi2_contingency

from sheetlens.common.files import read_table
from sheetlens.common.refusals import heading
from sheetlens.config import LIMITS, Limits
from sheetlens.pages.render import of_dataset, write_page
from sheetlens.pages.thumbnails import embed_picture, embed_refused
from sheetlens.prepare.image_set import open_image_set

SAMPLE = 24  # sheets of each class on its contact sheet
SHOWN = 6  # refused files shown for each reason
VALUES = 8  # values of a property that are named; the rest are "others"
THUMBNAIL_PIXELS = 128  # pixels of a small picture
APART = 0.3  # share of sheets that would have to change class for two classes to look alike
CHANCE = 0.001  # probability below which a difference is not put down to chance
UNKNOWN = "not stated"


def write_quality(
    title: str,
    pixels: Path,
    index: Path,
    manifest: Path,
    output: Path,
    root: Path = Path(),
    limits: Limits = LIMITS,
) -> None:
    """Write the page; paths in the manifest are relative to `root`. The same inputs give the same bytes."""
    used, found = read_table(index), read_table(manifest)
    write_page(
        "quality.html",
        output,
        navigation=of_dataset("quality"),
        title=title,
        found=len(found),
        used=len(used),
        classes=sorted(used["label"].unique()),
        properties=list(describe_properties(used)),
        refused=group_refused(found, root, limits),
        notes=count_notes(used),
        samples=sample_classes(used, open_image_set(pixels)),
        policy=used["policy"].iloc[0],
        fit=used["fit"].iloc[0],
        manifest=manifest.as_posix(),
        index=index.as_posix(),
    )


def describe_properties(used: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Tables of what the photographs are like, one row for each value, with its share in each class."""
    megapixels = used["width"].astype(float) * used["height"].astype(float) / 1e6
    camera = pd.Series(map(camera_name, used["exif_make"], used["exif_model"]), used.index, dtype="str")
    border = used[["border_red", "border_green", "border_blue"]].mean(axis=1)
    for name, values in (
        ("Megapixels", binned(megapixels, [0, 0.5, 2, 8, 20, 40, np.inf])),
        ("Format and colours", used["format"] + ", " + used["mode"]),
        ("JPEG quality", binned(used["jpeg_quality"], [1, 70, 80, 90, 95, 101])),
        ("Camera", camera),
        ("Software", used["exif_software"]),
        ("Colour profile", used["icc"]),
        ("Photographed in", in_order(used["exif_datetime"].str.extract(r"^(\d{4})", expand=False))),
        ("Collected in", binned(years(used["eventDate"]), [1700, 1850, 1900, 1925, 1950, 1975, 2000, 2100])),
        ("Herbarium", used["institutionCode"]),
        ("Border of the photograph", pd.cut(border, [-1, 85, 170, 256], labels=["dark", "medium", "light"])),
    ):
        text = not isinstance(values.dtype, pd.CategoricalDtype)
        yield describe_property(name, values.fillna("").replace("", UNKNOWN) if text else values, used["label"])


def describe_property(name: str, values: pd.Series, labels: pd.Series) -> dict[str, Any]:
    """Count the values of one property in each class, and see whether it tells two classes apart."""
    ordered = isinstance(values.dtype, pd.CategoricalDtype)
    text = values.astype(str)
    common = text.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable").index
    if not ordered:
        text = text.where(text.isin(common[:VALUES]), "others")
    counts = pd.crosstab(text, labels)
    order = [str(value) for value in values.cat.categories] if ordered else [*common[:VALUES], "others"]
    order = [value for value in order if value in counts.index and value != UNKNOWN]
    counts = counts.loc[[*order, *counts.index.intersection([UNKNOWN])]]
    shares = counts / counts.sum()
    apart = any(
        abs(shares[one] - shares[two]).sum() / 2 >= APART and not by_chance(counts[[one, two]])
        for one, two in combinations(counts, 2)
    )
    return {
        "name": name,
        "only": str(counts.index[0]) if len(counts) == 1 else "",
        "apart": apart,
        "rows": [
            {"value": value, "cells": list(zip(counts.loc[value], shares.loc[value], strict=True))}
            for value in counts.index
        ],
    }


def by_chance(counts: pd.DataFrame) -> bool:
    """Whether the difference between two columns of counts may be chance (chi-squared test)."""
    return bool(chi2_contingency(counts[counts.sum(axis=1) > 0]).pvalue >= CHANCE)


def binned(values: pd.Series, edges: list[float]) -> pd.Series:
    """Values as named ranges, in order; what is missing is UNKNOWN."""
    names = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    names[0], names[-1] = f"under {edges[1]:g}", f"{edges[-2]:g} and more"
    return pd.cut(values.astype(float), edges, right=False, labels=names).cat.add_categories(UNKNOWN).fillna(UNKNOWN)


def in_order(values: pd.Series) -> pd.Series:
    """Texts that are shown in their own order, all of them; what is missing is UNKNOWN."""
    return pd.Series(pd.Categorical(values.fillna(UNKNOWN)), values.index)


def camera_name(make: str, model: str) -> str:
    """Make and model, the make only once."""
    return model if model.lower().startswith(make.split(" ")[0].lower()) else f"{make} {model}".strip()


def years(dates: pd.Series) -> pd.Series:
    """The year in which an ISO 8601 date or range begins, NaN where there is none."""
    return dates.str.extract(r"^(\d{4})", expand=False).astype(float)


def group_refused(found: pd.DataFrame, root: Path, limits: Limits = LIMITS) -> list[dict[str, Any]]:
    """The refused files by the kind of reason, most first, with small pictures of some."""
    refused = found[found["status"] != "ok"].sort_values("image_id")
    codes = refused.get("reason_code", pd.Series("", refused.index))
    kinds = pd.Series(map(heading, codes, refused["reason"]), refused.index, dtype="str")
    groups = []
    for kind, files in refused.groupby(kinds, sort=True):
        shown = [
            {
                "name": file["image_id"],
                "detail": file["reason"],
                "picture": _picture(root, file, limits),
            }
            for file in files.head(SHOWN).to_dict("records")
        ]
        groups.append({"kind": kind, "count": len(files), "shown": shown, "more": len(files) - len(shown)})
    return sorted(groups, key=lambda group: -group["count"])


def _picture(root: Path, file: dict[Any, Any], limits: Limits) -> str:
    code = file.get("reason_code", "")
    return embed_refused(root / file["path"], code, THUMBNAIL_PIXELS, limits) if file["path"] else ""


def count_notes(used: pd.DataFrame) -> list[tuple[str, int]]:
    """How often each remark was made on a file that was used."""
    remarks = used["notes"].str.split("; ").explode()
    counts = remarks[remarks != ""].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return [(str(remark), int(count)) for remark, count in counts.head(2 * VALUES).items()]


def sample_classes(used: pd.DataFrame, pack: np.ndarray) -> list[dict[str, Any]]:
    """Contact sheets: of each class the sheets with the lowest digests, as good as drawn by lot."""
    samples = []
    for label, sheets in used.groupby("label", sort=True):
        drawn = sheets.sort_values("pixels_sha256").head(SAMPLE).sort_values("image_id")
        rows = pack[drawn["row"].to_numpy()]
        pictures = [embed_picture(small_picture(row)) for row in rows]
        named = [{"name": name, "picture": picture} for name, picture in zip(drawn["image_id"], pictures, strict=True)]
        samples.append({"label": label, "sheets": len(sheets), "pictures": named})
    return samples


def small_picture(row: np.ndarray) -> Image.Image:
    """A row of the image set at half its size."""
    return Image.fromarray(np.ascontiguousarray(row.transpose(1, 2, 0))).reduce(2)
