"""Barcodes of specimens as they come back from spreadsheets, portals and file names."""

import re

NUMBER = re.compile(r"0*(\d+)(?:\.0+)?")  # a spreadsheet makes 68526.0 of 00068526
PREFIXED = re.compile(r"([A-Z]+)0*(\d+)")


def normalise(barcode: str) -> str:
    """Return what two spellings of one barcode have in common; "" for none.

    Leading zeros, blanks, hyphens, underscores, case and a trailing ".0" do not count; a prefix of letters does.
    """
    bare = re.sub(r"[\s_-]+", "", barcode).upper()
    if found := NUMBER.fullmatch(bare):
        return found[1]
    if found := PREFIXED.fullmatch(bare):
        return found[1] + found[2]
    return bare
