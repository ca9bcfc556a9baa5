"""What the typed config becomes for others: its JSON schema, for editors, and its reference, for people.

`make schema` writes both from the models; nobody edits them.
"""

import json
from typing import Any

from pydantic import BaseModel

HEAD = """# Config keys

Written by `make schema` from the typed config (`workflow/sheetlens/config/`): change it there.
[Configuration](configuration.md) says how the keys work together, and why we chose these values.
"""
BOUNDS = {  # JSON schema's keyword -> in words; `{}` is the value
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "at least {}",
    "minProperties": "at least {}",
    "pattern": "matching `{}`",
}
KINDS = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}
Node = dict[str, Any]


def json_schema(settings: type[BaseModel]) -> str:
    """The JSON schema of the config, as committed in config/schema.json."""
    return json.dumps(settings.model_json_schema(), indent=2) + "\n"


def reference(settings: type[BaseModel]) -> str:
    """The reference page, as committed in docs/reference/keys.md: a table for each section, in the order of the config.

    A section that stands in several places has its table at the first.
    """
    root = settings.model_json_schema()
    definitions, places = root["$defs"], {}
    waiting: list[tuple[str, Node]] = [("", root)]
    lines = [HEAD]
    while waiting:
        place, node = waiting.pop(0)
        below = []
        lines += [f"## {f'`{place}`' if place else 'The whole config'}", "", _flat(node["description"]), ""]
        lines += ["| key | what it is | value | default |", "|---|---|---|---|"]
        for key, facts in node["properties"].items():
            here = f"{place}.{key}".lstrip(".")
            name, named = _section(facts)
            if name:
                at = f"{here}.{{name}}" if named else here
                if name not in places:
                    places[name] = at
                    below.append((at, definitions[name]))
            lines.append(_row(key, facts, places.get(name, ""), key in node.get("required", [])))
        lines.append("")
        waiting = below + waiting
    return "\n".join(lines).rstrip() + "\n"


def _row(key: str, facts: Node, section: str, required: bool) -> str:
    value = f"[section](#{_anchor(section)})" if section else _kind(facts)
    default = facts.get("default")
    nothing = "required" if required else "" if section else "none"
    shown = nothing if default in (None, {}, [], "") or section else f"`{json.dumps(default)}`"
    return f"| `{key}` | {_flat(facts['description'])} | {value} | {shown} |"


def _section(facts: Node) -> tuple[str, bool]:
    """The definition that a key's value follows, "" for plain values; whether there is one for each of some names."""
    for node in (facts, *facts.get("anyOf", [])):
        if "$ref" in node:
            return node["$ref"].rsplit("/", 1)[-1], False
        inner = node.get("additionalProperties", node.get("items", {}))
        if isinstance(inner, dict) and "$ref" in inner:
            return inner["$ref"].rsplit("/", 1)[-1], "additionalProperties" in node
    return "", False


def _kind(node: Node) -> str:
    """A value in words: its type, the choices or the bounds."""
    if "anyOf" in node:
        return " or ".join(_kind(one) for one in node["anyOf"] if one != {"type": "null"})
    if "enum" in node:
        return ", ".join(f"`{choice}`" for choice in node["enum"])
    bounds = [words.format(node[word]).replace("|", "\\|") for word, words in BOUNDS.items() if word in node]
    kind = KINDS.get(node.get("type", ""), "")
    if node.get("type") == "array":
        kind = f"list of {_kind(node['items'])}" if "items" in node else "pair of integers"
    elif node.get("type") == "object":
        kind = f"by name: {_kind(node['additionalProperties'])}"
    return ", ".join([kind, *bounds])


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _anchor(place: str) -> str:
    """The part of an address by which a heading is found, as Git hosts and MkDocs make it."""
    return "".join(letter for letter in place.lower() if letter.isalnum() or letter in "-_ ").replace(" ", "-")
