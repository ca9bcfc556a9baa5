"""Herbarium sheets drawn by the package itself, with the truth about each."""

from sheetlens.demo.sheets import write_sheets

__all__ = ["write_sheets"]
