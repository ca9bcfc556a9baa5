"""What people's own tables say of pictures, before anything is asked for."""

import pytest

from sheetlens.common.errors import UserError
from sheetlens.config import UrlsSource
from sheetlens.fetch.sources import urls

HEADER = "url,label,locality,decimalLatitude,stateProvince"


def requests(folder, text, **settings):
    (folder / "table.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    source = UrlsSource(table=str(folder / "table.csv"), **settings)
    return [urls.request(source, row, row["url"], "urls") for row in urls.rows(source)]


@pytest.mark.parametrize(
    "name", ["licence", "license", "dcterms:license", "rights", "UsageTerms", "xmpRights:WebStatement"]
)
def test_a_licence_is_one_whatever_its_column_is_called(tmp_path, name):
    stated = ["http://creativecommons.org/licenses/by/4.0/", "CC BY-NC", "CC BY 4.0, not the pictures", ""]
    text = f"url,label,{name}\n" + "".join(f'https://a.example/{n}.jpg,fern,"{one}"\n' for n, one in enumerate(stated))
    found = requests(tmp_path, text, licences=["CC-BY", "CC0"])
    assert [(one.fields["licence"], one.fields["licence_asserted"], bool(one.refused)) for one in found] == [
        ("CC-BY-4.0", True, False),
        ("CC-BY-NC", True, True),
        ("CC BY 4.0, not the pictures", False, True),
        ("", False, True),
    ]


def test_all_columns_about_the_licence_count(tmp_path):
    text = "url,label,license,rights\nhttps://a.example/1.jpg,fern,CC BY 4.0,all rights reserved\n"
    assert requests(tmp_path, text, licences=["CC-BY"])[0].refused == "nobody asserted a licence"
    text = "url,label,licence,UsageTerms\nhttps://a.example/1.jpg,fern,CC BY 4.0,CC BY-NC 4.0\n"
    assert requests(tmp_path, text)[0].fields["licence"] == "CC-BY-NC-4.0"


@pytest.mark.parametrize("flag", ["recordSecurity", "localitySecurity", "dwc:informationWithheld", "geoprivacy"])
def test_a_protected_place_never_leaves_the_table(tmp_path, flag):
    text = f"{HEADER},{flag}\nhttps://a.example/1.jpg,fern,SECRET,1.5,SECRET,1\nhttps://a.example/2.jpg,fern,open,2.5,open,0\n"
    first, second = requests(tmp_path, text)
    assert not {"locality", "decimalLatitude", "stateProvince", flag} & set(first.fields)
    assert (second.fields["locality"], second.fields["stateProvince"]) == ("open", "open")
    assert [one.fields.get("informationWithheld", "") for one in (first, second)] == ["the place", ""]


def test_a_flag_that_says_nothing_protects_nothing(tmp_path):
    text = f"{HEADER},recordSecurity,informationWithheld\nhttps://a.example/1.jpg,fern,open,1.5,open,NA,not withheld\n"
    fields = requests(tmp_path, text)[0].fields
    assert (fields["locality"], fields.get("informationWithheld", "")) == ("open", "")


def test_classes_that_differ_by_a_letter_of_another_encoding_stay_two(tmp_path):
    text = "url,label\nhttps://a.example/1.jpg,Lycopodiacées\nhttps://a.example/2.jpg,Lycopodiacèes\n"
    for encoding in ("cp1252", "latin-1", "utf-8", "utf-16"):
        found = requests(tmp_path, text.encode(encoding))
        assert [one.fields["label"] for one in found] == ["Lycopodiacées", "Lycopodiacèes"]


def test_a_column_called_twice_is_told_before_anything_is_asked(tmp_path):
    with pytest.raises(UserError, match="has a column twice"):
        requests(tmp_path, "url,label,License,license\nhttps://a.example/1.jpg,fern,CC0,CC BY\n")
