import pytest

from sheetlens.common.barcodes import normalise, specimen, without_suffix


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("K00012345_1", "K000123451"),
        ("00012345_1", "123451"),
        ("00068526-26", "6852626"),
        ("12 345", "12345"),
        ("US 12345 (2)", "US 123452"),
        ("K000123456a", "K000123456"),
        ("S05-12345", "S0512345"),
        ("US-12-34567", "US1234567"),
    ],
)
def test_digits_are_never_glued(one, other):
    assert normalise(one) != normalise(other)
    assert without_suffix(one) != normalise(other) or one.endswith("a")


@pytest.mark.parametrize(
    "name",
    [
        "K00012345_1", "K00012345-2", "K00012345_02", "K00012345-a", "K00012345b", "K00012345 (2)", "K00012345(3)",
        "K00012345.2", "k00012345_back", "K00012345-label", "K-00012345_000002", "K00012345_1_back", "K 00012345 (1)",
        "K00012345 [2]", "K00012345_v1", "K00012345-p2", "K00012345_crop", "K00012345_1_web", "K.00012345_2",
    ],
)  # fmt: skip
def test_endings_name_second_pictures_of_one_specimen(name):
    assert without_suffix(name) == normalise("K00012345") == specimen(name, "RBG")


@pytest.mark.parametrize(
    "name",
    [
        "68526.0", "00068526", "IMG_0001", "IMG_20190501_12", "2019-05-01_003", "sheet-1", "B 10 0000001", "12-345",
        "mercury-a-0001", "DSC_1234", "", "---", "2024_0001", "2024-05", "Lycopodium_2023_01", "201905_001", "1234.5",
    ],
)  # fmt: skip
def test_names_without_such_an_ending_are_left_alone(name):
    assert without_suffix(name) == normalise(name)


@pytest.mark.parametrize("barcode", ["B 10 0123456", "L.1234567", "W 1889-0012345"])
def test_second_pictures_of_barcodes_in_several_parts(barcode):
    assert without_suffix(f"{barcode}_2") == without_suffix(f"{barcode}_b") == normalise(barcode)


def test_berlin_prints_a_barcode_with_blanks():
    assert normalise("B 10 0000001") == normalise("B_10_0000001") == normalise("B100000001")


def test_mere_numbers_are_those_of_an_institution():
    assert specimen("00012345", "NY") == specimen("12345_2", " ny ") == "ny 12345"
    assert specimen("12345", "US") != specimen("12345", "NY") != specimen("12345")
    assert specimen("K000012345", "K") == specimen("K000012345") == "K12345"
