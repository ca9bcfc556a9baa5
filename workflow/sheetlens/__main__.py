"""Run the command line with `python -m sheetlens`."""

from sheetlens.cli import main

if __name__ == "__main__":
    main()
