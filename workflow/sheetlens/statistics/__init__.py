"""Formulas on arrays, each with its source; no files."""
