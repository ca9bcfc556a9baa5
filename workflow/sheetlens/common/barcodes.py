"""Barcodes of specimens as they come back from spreadsheets, portals and file names."""

import re

NUMBER = re.compile(r"0*(\d+)(?:\.0+)?")  # a spreadsheet makes 68526.0 of 00068526
SPACED = re.compile(r"(B)[\s_-]*([12]0)[\s_-]+(\d{7})")  # as Berlin prints B 10 0000001, read B100000001
PREFIXED = re.compile(r"([A-Z]+)[\s_.-]*0*(\d+)")
AROUND = re.compile(r"(?<=[A-Z])[\s_-]+|[\s_-]+(?=[A-Z])")
ZEROS = re.compile(r"^([A-Z]*[\s_-]*)0+(?=\d)")
BETWEEN = re.compile(r"[\s_-]+")
# What names the second picture of a specimen: _1, -02, -000002, (2), a, -b, _back ...
SUFFIX = re.compile(
    r"(?:[\s_.-]+(?:\d{1,2}|0{2,}\d{1,2})|[\s_.-]*[\[(]\d{1,3}[\])]|[\s_.-]*[A-Z]|[\s_.-]+[VP]\d{1,2}"
    r"|[\s_.-]+(?:FRONT|BACK|RECTO|VERSO|LEFT|RIGHT|LABELS?|DETAIL|SHEET|COPY|CROP|WEB))$"
)
# What may be a barcode without its suffix: enough digits at the end, with Berlin's 10 or Vienna's year before them ...
BARE = re.compile(r"(?:[A-Z]+[\s_.-]*)*\d{4,}|(?:[A-Z]+[\s_.-]*)+\d{2,4}[\s_-]+\d{7}")
# ... which are no year, month or day: what a camera or a plain count says behind one is another sheet.
DATE = re.compile(
    r".*(?<!\d)(?:(?:1[789]|20)\d\d|(?:199|20[0-3])\d[_-]?(?:0[1-9]|1[0-2])"
    r"|(?:19|20)\d\d[_-]?(?:0[1-9]|1[0-2])[_-]?(?:0[1-9]|[12]\d|3[01]))"
)
DECIMAL = re.compile(r"\d{4,5}\.\d+")  # a number of its own, as those of Linnaeus's herbarium


def normalise(barcode: str) -> str:
    """Return what two spellings of one barcode have in common; "" for none.

    Leading zeros, blanks, hyphens, underscores, case and a trailing ".0" do not count; a prefix of letters does, and
    digits with something between them are not one number: K00012345_1 is not K000123451.
    """
    bare = barcode.strip().strip("_-").upper()
    if found := NUMBER.fullmatch(bare):
        return found[1]
    if found := PREFIXED.fullmatch(SPACED.sub(r"\1\2\3", bare)):
        return found[1] + found[2]
    return BETWEEN.sub("-", AROUND.sub("", ZEROS.sub(r"\1", bare)))


def without_suffix(barcode: str) -> str:
    """The normalised barcode of the specimen that a name such as K00012345_1, 00068526-a or 68526 (2) has a picture of.

    A name without such an ending, or one of which no barcode would be left, is that of `normalise`.
    """
    bare = barcode.strip().strip("_-").upper()
    if NUMBER.fullmatch(bare) or DECIMAL.fullmatch(bare):
        return normalise(bare)
    for _ in range(2):  # K00012345_2_back
        if (
            (found := SUFFIX.search(bare))
            and BARE.fullmatch(left := bare[: found.start()])
            and not DATE.fullmatch(left)
        ):
            return normalise(left)
        bare = bare[: found.start()] if found else bare
    return normalise(barcode)


def specimen(name: str, institution: str = "") -> str:
    """What the pictures of one specimen have in common: its barcode, behind the institution where it is a mere number.

    Numbers are unique only within an institution; a prefix of letters is part of the barcode.
    """
    barcode = without_suffix(name)
    return f"{institution.strip().casefold()} {barcode}".strip() if barcode.isdigit() else barcode
