"""Write config/schema.json: `make lock`."""

from pathlib import Path

from sheetlens.config import schema

Path("config/schema.json").write_text(schema(), encoding="utf-8")
