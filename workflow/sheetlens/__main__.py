"""Run the command line with `python -m sheetlens`."""

from sheetlens.cli import main

main()
