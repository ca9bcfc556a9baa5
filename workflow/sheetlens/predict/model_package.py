"""What makes a trained model one whole that can be handed on: a folder of four files that speak of each other.

`weights.safetensors` and `model.json` come from the training, `typical.safetensors` (what its sheets look like to it)
from the reading of its parts, and `package.json`, which `sheetlens.predict.packaging` writes, says how its answers
are to be taken. Nothing in them is executed.
"""

from pathlib import Path
from typing import Any

from sheetlens.common import files
from sheetlens.common.errors import UserError
from sheetlens.predict.package_values import REVIEW, check_package
from sheetlens.prepare.resize import OVERSAMPLING, POLICY, SIZE

__all__ = ["AGAIN", "PARTS", "REVIEW", "read_facts", "read_package"]

PARTS = ("weights.safetensors", "model.json", "typical.safetensors")  # beside package.json
NEEDED = (  # in package.json
    "classes", "confusion", "errors", "files", "fit", "floors", "group_size", "image_size", "independent", "limit",
    "policy", "reference", "shares", "temperature", "thresholds", "title",
)  # fmt: skip
TO_READ = ("dataset", "title", "trained_on", "unlike")  # in package.json, too, where it is to read sheets
SEEDS = 2**63  # torch takes seeds below
AGAIN = "make the model's products again with this version"


def read_facts(folder: Path) -> dict[str, Any]:
    """What `package.json` of a model folder says; UserError where it is not there or lacks something."""
    path = folder / "package.json"
    if not path.is_file():
        raise UserError(f"{folder} is no model: it has no package.json (those in results/*/models/*/ have)")
    try:
        facts = files.read_json(path)
        if lacking := [name for name in NEEDED if name not in facts]:
            raise ValueError(f"it lacks {lacking[0]}")
        check_package(facts)
    except (ValueError, RecursionError, KeyError, TypeError) as error:  # no JSON or no UTF-8 is a ValueError
        raise UserError(f"{path} cannot be read ({type(error).__name__}: {error}): {AGAIN}") from None
    return dict(facts)


def read_package(folder: Path) -> dict[str, Any]:
    """The same, when the folder is whole and fits this version; UserError otherwise."""
    facts = read_facts(folder)
    if lacking := [name for name in TO_READ if name not in facts]:
        raise UserError(f"{folder / 'package.json'} cannot be read (it lacks {lacking[0]}): {AGAIN}")
    policy, size, fit = (facts[name] for name in ("policy", "image_size", "fit"))
    for name in PARTS:
        if not (folder / name).is_file():
            raise UserError(f"the model in {folder} lacks {name}: copy the whole folder")
        if files.sha256(folder / name) != facts["files"].get(name):
            raise UserError(f"{folder / name} is not the file that package.json was made for: copy the whole folder")
    if policy != POLICY:
        raise UserError(
            f"the model in {folder} was trained on sheets prepared by the policy '{policy}', and this version"
            f" prepares them by '{POLICY}': {AGAIN}"
        )
    if size != SIZE:
        raise UserError(f"the model in {folder} reads sheets of {size} pixels, and this version makes {SIZE}: {AGAIN}")
    if fit not in tuple(OVERSAMPLING):
        raise UserError(
            f"the model in {folder} wants sheets of the fit '{fit}', which this version does not know: {AGAIN}"
        )
    seed = _seed(folder / "model.json")
    if not isinstance(seed, int) or not 0 <= seed < SEEDS:
        raise UserError(f"{folder / 'model.json'} cannot be read (its seed is {str(seed)[:40]}): {AGAIN}")
    return facts


def _seed(path: Path) -> Any:
    facts = files.read_json(path)
    return facts.get("seed", "not there") if isinstance(facts, dict) else "not there"
