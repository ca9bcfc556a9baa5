"""What the values in a model's `package.json`, and in a `check.json`, must be: whoever reads them asks no more."""

import sys
from collections.abc import Callable
from typing import Any

REVIEW = "review"  # the decision that a person must look
THRESHOLD = ("threshold", "coverage", "unguaranteed", "unguaranteed_coverage")  # of each risk
SIDES = ("sensitivity", "specificity")
LARGEST, MOST = sys.float_info.max, 2**53  # numbers beyond are infinite, or not exact, for what computes with them


def is_number(value: Any, least: float = -LARGEST, most: float = LARGEST) -> bool:
    """Whether it is a number that can be computed with, within bounds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and is_number(value, 0, MOST)


def _is_share(value: Any) -> bool:
    return is_number(value, 0, 1)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)  # half a character


def is_list(value: Any, kind: Callable[[Any], bool]) -> bool:
    """Whether it is a list of such values."""
    return isinstance(value, list) and all(map(kind, value))


def _is_pair(value: Any) -> bool:
    return is_list(value, lambda one: is_number(one, 0)) and len(value) == 2


def is_row(value: Any, kinds: dict[str, Callable[[Any], bool]]) -> bool:
    """Whether it is an object that has such values by these names."""
    return isinstance(value, dict) and all(name in value and kind(value[name]) for name, kind in kinds.items())


def _is_floor(value: Any) -> bool:
    kinds = {"class": _is_text, "missed": _is_share, "threshold": lambda one: one is None or is_number(one)}
    return is_row(value, kinds)


def _are_by_class(value: Any, kind: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(kind, value.values()))


MUST: dict[str, tuple[Callable[[Any], bool], str]] = {
    "files": (lambda value: isinstance(value, dict), "are no object"),
    "classes": (lambda value: is_list(value, lambda name: _is_text(name) and name != ""), "are no list of names"),
    "title": (_is_text, "is no text"),
    "dataset": (_is_text, "is no text"),
    "temperature": (lambda value: is_number(value, sys.float_info.min), "is no number above 0"),
    "limit": (lambda value: is_number(value, sys.float_info.min), "is no number above 0"),
    "group_size": (lambda value: is_number(value, 1), "is no number from 1 on"),
    "independent": (_is_count, "is no number of sheets"),
    "reference": (lambda value: is_list(value, is_number), "is no list of numbers"),
    "guarantee": (_is_share, "is no share"),
    "unlike": (_is_share, "is no share"),
    "shares": (lambda value: _are_by_class(value, _is_share), "are no share of each class"),
    "confusion": (lambda value: is_list(value, lambda row: is_list(row, _is_count)), "is no table of counts"),
    "errors": (
        lambda value: _are_by_class(value, lambda one: is_row(one, dict.fromkeys(SIDES, _is_pair))),
        "are not right and tested of each class",
    ),
    "floors": (lambda value: is_list(value, _is_floor), "are no thresholds of classes"),
}


def check_package(facts: dict[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError for values that no model of ours has."""
    for name, (is_right, else_it) in MUST.items():
        if name in facts and not is_right(facts[name]):
            raise ValueError(f"its {name} {else_it}")
    classes = facts["classes"]
    if len(set(classes)) != len(classes) or REVIEW in classes:
        raise ValueError(f"two classes have one name, or one is called {REVIEW}")
    check_thresholds(facts["thresholds"])


def check_thresholds(thresholds: Any) -> None:
    """The same for the thresholds, by risk, of a model or of a check."""
    if not isinstance(thresholds, list):
        raise TypeError("its thresholds are no list")
    for known in thresholds:
        if not (isinstance(known["risk"], float) and is_number(known["risk"])):
            raise ValueError("a threshold lacks its risk")
        if any(not is_number(known[name]) for name in ("threshold", "unguaranteed") if known.get(name) is not None):
            raise ValueError("a threshold is no number")
        if lacking := [name for name in THRESHOLD if name not in known]:
            raise ValueError(f"a threshold lacks its {lacking[0]}, as those of an earlier version do")
        if not (_is_share(known["coverage"]) and _is_share(known["unguaranteed_coverage"])):
            raise ValueError("the coverage of a threshold is no share")


def _is_class(value: Any) -> bool:
    sides = dict.fromkeys(SIDES, lambda side: is_row(side, {"local": _is_pair}))
    prevalence = {"estimate": lambda share: share is None or _is_share(share)}
    return is_row(value, sides | {"verdict": _is_text, "prevalence": lambda one: is_row(one, prevalence)})


def _is_look(value: Any) -> bool:
    return is_row(value, dict.fromkeys(("image_id", "barcode", "label"), _is_text))


def check_checked(facts: Any) -> None:
    """The same for what a check of a collection says."""
    whole = is_row(facts, {
        "classes": lambda value: _are_by_class(value, _is_class),
        "looks": lambda value: is_list(value, _is_look),
        "model": lambda value: isinstance(value, dict),
    })  # fmt: skip
    if not whole or not _is_share(facts.get("confidence", 0)):
        raise ValueError("it lacks classes, looks or model, or one of them is odd")
    check_thresholds(facts["thresholds"])
