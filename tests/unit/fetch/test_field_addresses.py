"""Several addresses in one field of a record, and words beside them."""

import time

import pytest

from sheetlens.fetch.records.addresses import addresses
from sheetlens.fetch.records.sizes import size_of

A, B = "https://i.example/a.jpg", "https://i.example/b.jpg"


@pytest.mark.parametrize(
    "between",
    [
        "|", " | ", ";", ";;", ",", ", ", " ", "\t", "\u00a0", "\u2029", "\u3001", "\uff0c", "\u00b7", " \u2022 ",
        "\\n", "\\r\\n", "\\t", "+", " + ", "*", " & ", " and ", " und ", " / ", " (front), ",
        "; back: ", "] [", "'; '",
    ],
)  # fmt: skip
def test_two_addresses_are_two_whatever_stands_between(between):
    assert addresses(A + between + B) == [A, B]
    query = "https://i.example/get?id=1"
    assert addresses(query + between + B)[-1] == B


@pytest.mark.parametrize(
    "text",
    [
        A, f"{A} (front)", f"{A}.", f"{A} &", f"{A} and", f"front: {A}", f"sheet: {A} (back).", f"[sheet]({A})",
        f'[sheet]({A} "front")', f"<img src={A} alt=x>", f"<img alt=x src={A}>", f'<img src="{A}" alt="x y">',
        f"<a href={A}>sheet</a>", f"({A})", f"<{A}>", f'{{"url":"{A}"}}', '["https:\\/\\/i.example\\/a.jpg"]',
        f"{A}\\n",
    ],
)  # fmt: skip
def test_words_beside_an_address_are_no_part_of_it(text):
    assert addresses(text) == [A]


@pytest.mark.parametrize(
    "address",
    [
        "https://i.example/a b.jpg",
        "https://i.example/a,b.jpg",
        "https://i.example/a.jpg;jsessionid=1",
        "https://i.example/A(1).jpg",
        "https://i.example/get?src=https://o.example/a.jpg",
        "https://web.example/web/2020/https://i.example/a.jpg",
        "https://i.example/iiif/a/full/600,400/0/default.jpg",
        "https://i.example/get?file=a.tif&cvt=jpeg",
        "https://i.example/Sheet.Nr.1",
        "urn:uuid:1",
        "/media/1.jpg",
    ],
)
def test_one_address_stays_whole(address):
    assert addresses(address) == [address]


@pytest.mark.parametrize(
    "text",
    [" " * 200_000, " |" * 100_000, "[" * 200_000, A + "," * 200_000 + "x", f"{A}," * 20_000, "\\n" * 100_000,
     "https://i.example/deliveryService/id/" * 5_000, "https://i.example/" + "/full" * 50_000],
)  # fmt: skip
def test_a_hostile_field_ends_in_time(text):
    begun = time.process_time()
    for address in [text, *addresses(text)][:2]:
        size_of(address, "")
    assert time.process_time() - begun < 10
