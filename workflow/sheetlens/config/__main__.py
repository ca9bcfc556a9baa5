"""Write config/schema.json and docs/reference/keys.md from the typed config: `make schema`."""

from pathlib import Path

from sheetlens.config import Settings
from sheetlens.config.reference import json_schema, reference

Path("config/schema.json").write_text(json_schema(Settings), encoding="utf-8")
Path("docs/reference/keys.md").write_text(reference(Settings), encoding="utf-8")
