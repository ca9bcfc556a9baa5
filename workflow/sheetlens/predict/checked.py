"""What a check of a collection says of a model: `check.json`, which `sheetlens assess` writes."""

from pathlib import Path
from typing import Any

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.predict.package_values import check_checked


def read_checked(path: Path, fingerprint: str) -> dict[str, Any]:
    """Read it; UserError where it is none, or is about another model than the one whose package has this hash."""
    facts = files.read_json(path)
    try:
        check_checked(facts)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no result of a check ({type(error).__name__}: {error}): give the check.json that"
            " `sheetlens assess` wrote"
        ) from None
    if facts["model"].get("package_sha256") != fingerprint:
        raise UserError(
            f"{path} is about another model ('{facts['model'].get('title')}'): check the answers of this one"
        )
    return dict(facts)
