"""Sheetlens reads photographed herbarium sheets with machine learning, reproducibly."""

__version__ = "0.1.0"
