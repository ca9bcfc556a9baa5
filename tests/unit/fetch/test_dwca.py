import asyncio
import json
import tracemalloc
import zipfile

import pytest

from sheetlens.common.errors import UserError
from sheetlens.config import DwcaSource, Records
from sheetlens.fetch.http.session import Session
from sheetlens.fetch.listing import LISTING
from sheetlens.fetch.records import specimen_records
from sheetlens.fetch.sources import dwca
from tests.services.archives import gbif, media, occurrences, write_archive

CLASSES = {"clubmoss": {"where": {"family": "Lycopodiaceae"}}, "spikemoss": {"where": {"family": ["Selaginellaceae"]}}}
BY = "http://creativecommons.org/licenses/by/4.0/"


def record(number, family="Lycopodiaceae", **changes):
    return {
        "id": str(number),
        "institutionCode": "US",
        "catalogNumber": f"{number:08d}",
        "recordedBy": "A. Núñez",
        "family": family,
        "locality": "by the river",
    } | changes


def picture(number, **changes):
    return {
        "id": str(number),
        "identifier": f"https://img.example/{number}-large.tif",
        "accessURI": f"https://img.example/{number}-large.tif",
        "goodQualityAccessURI": f"https://img.example/{number}-web.jpg",
        "format": "image/jpeg",
        "type": "StillImage",
        "rights": BY,
        "UsageTerms": "CC BY 4.0",
        "Owner": "The Herbarium",
        "creator": "A Photographer",
    } | changes


RECORDS = [record(n, "Lycopodiaceae" if n % 2 else "Selaginellaceae") for n in range(1, 21)]
PICTURES = [picture(n) for n in range(1, 21)]


def find(folder, path, services=None, **changes):
    """The requests of a source, in order of their names."""
    settings = DwcaSource.model_validate({"archives": str(path), "classes": CLASSES} | changes)

    async def run():
        async with Session(services.settings("portal.example.org") if services else None) as session:
            return [request async for request in dwca.requests(settings, session, folder)]

    async def without():
        return [request async for request in dwca.requests(settings, None, folder)]

    return sorted(asyncio.run(run() if services else without()), key=lambda request: request.image_id)


def symbiota(tmp_path, pictures=PICTURES, records=RECORDS, **changes):
    return write_archive(tmp_path / "archive.zip", occurrences(records), media(pictures, **changes))


def test_each_picture_comes_with_its_record(tmp_path):
    found = find(tmp_path, symbiota(tmp_path))
    assert len(found) == 20
    one = next(request for request in found if request.fields["specimen_id"] == "00000007")
    assert one.image_id.startswith("clubmoss/US-00000007-")
    assert one.urls == ("https://img.example/7-web.jpg", "https://img.example/7-large.tif")
    assert one.routes == ("img.example web", "img.example original")
    assert one.fields == {
        "label": "clubmoss", "specimen_id": "00000007", "catalogNumber": "00000007", "institutionCode": "US",
        "recordedBy": "A. Núñez", "family": "Lycopodiaceae", "locality": "by the river", "licence": "CC-BY-4.0",
        "licence_asserted": True, "rights_holder": "The Herbarium", "creator": "A Photographer",
    }  # fmt: skip


def test_the_original_is_asked_for_first_where_the_config_says_so(tmp_path):
    one = find(tmp_path, symbiota(tmp_path), size="original")[0]
    assert [route.split()[-1] for route in one.routes] == ["original", "web"]
    assert one.urls[0].endswith("large.tif")


def test_old_exports_and_downloads_of_gbif_and_idigbio_read_alike(tmp_path):
    plain = [
        {key: value for key, value in picture(n).items() if key in ("id", "identifier", "type")} for n in range(1, 21)
    ]
    for row in plain:
        row["license"] = BY
    old = write_archive(
        tmp_path / "old.zip", occurrences(RECORDS, encoding="ISO-8859-1"), media(PICTURES, name="images.csv")
    )
    download = write_archive(tmp_path / "gbif.zip", *gbif(RECORDS, plain))
    raw = media(PICTURES, name="multimedia_raw.csv")
    doubled = write_archive(tmp_path / "idigbio.zip", occurrences(RECORDS), media(PICTURES), raw)
    for path in (old, download, doubled):
        found = find(tmp_path / path.stem, path)
        assert len(found) == 20, path
        assert {request.fields["recordedBy"] for request in found} == {"A. Núñez"}
        assert {request.fields["licence"] for request in found} == {"CC-BY-4.0"}
    assert {request.fields["catalogNumber"] for request in find(tmp_path / "gbif", download)} == {
        f"{n:08d}" for n in range(1, 21)
    }


def test_addresses_that_are_missing_or_none_of_the_web_are_counted(tmp_path):
    bad = [
        picture(1, identifier="", accessURI="", goodQualityAccessURI=""),
        picture(3, identifier="/media/3.jpg", accessURI="file:///etc/passwd", goodQualityAccessURI="../3.jpg"),
        picture(5, goodQualityAccessURI=""),
        picture(7, type="Sound", format="audio/mpeg"),
        picture(9, type="", format="application/pdf"),
        picture(999),
    ]
    found = find(tmp_path, symbiota(tmp_path, [*bad, *PICTURES[10:]]))
    assert next(r.fields["specimen_id"] for r in found if r.fields["label"] == "clubmoss") == "00000005"
    assert next(r for r in found if r.fields["specimen_id"] == "00000005").routes == ("img.example original",)
    left = json.loads((tmp_path / "citation.json").read_text())["classes"]["clubmoss"]["left_out"]
    assert left == {
        "without an address": 1,
        "whose address is none of the web": 1,
        "that are no still pictures by type or format (sound, audio/mpeg)": 1,
        "that are no still pictures by type or format (application/pdf)": 1,
    }
    assert len(found) == 1 + 10


def test_a_licence_that_the_portal_put_in_asserts_nothing(tmp_path):
    default = {"rights": "", "UsageTerms": "CC BY-NC-SA", "WebStatement": ""}
    path = symbiota(tmp_path, [picture(1, **default), picture(3), *PICTURES[3:]])
    first = find(tmp_path, path)[0].fields
    assert (first["licence"], first["licence_asserted"]) == ("CC BY-NC-SA", False)
    kept = find(tmp_path, path, licences=["CC-BY", "CC-BY-NC-SA"])
    assert "00000001" not in {request.fields["specimen_id"] for request in kept}
    assert json.loads((tmp_path / "citation.json").read_text())["classes"]["clubmoss"]["left_out"] == {
        "whose licence nobody asserted": 1
    }


def test_the_licence_of_a_record_is_not_that_of_its_picture(tmp_path):
    silent = [picture(n, rights="", UsageTerms="") for n in range(1, 21)]
    records = [row | {"license": BY} for row in RECORDS]
    fields = find(tmp_path, symbiota(tmp_path, silent, records))[0].fields
    assert (fields["licence"], fields["licence_asserted"]) == ("CC-BY-4.0", False)


def test_a_place_that_is_withheld_is_not_passed_on(tmp_path):
    records = [
        record(1, informationWithheld="locality"),
        record(2, "Selaginellaceae", recordSecurity="1"),
        record(3, recordSecurity="0"),
    ]
    found = {
        request.fields["specimen_id"]: request.fields for request in find(tmp_path, symbiota(tmp_path, records=records))
    }
    assert [found[f"{n:08d}"].get("locality", "") for n in (1, 2, 3)] == ["", "", "by the river"]


def test_ids_that_come_twice_keep_the_first_record(tmp_path, caplog):
    records = [*RECORDS, record(1, "Selaginellaceae", catalogNumber="99999999")]
    found = find(tmp_path, symbiota(tmp_path, records=records))
    assert len(found) == 20
    assert "99999999" not in {request.fields["specimen_id"] for request in found}
    assert "1 records have the id of an earlier one" in caplog.text


def test_pictures_without_an_extension_are_taken_from_the_core(tmp_path):
    records = [
        row | {"associatedMedia": f"https://img.example/{row['id']}a.jpg | https://img.example/{row['id']}b.jpg"}
        for row in RECORDS
    ]
    found = find(tmp_path, write_archive(tmp_path / "a.zip", occurrences(records)))
    assert len(found) == 40


def test_the_sample_depends_on_the_seed_and_not_on_the_order(tmp_path):
    classes = {name: chosen | {"images": 4} for name, chosen in CLASSES.items()}
    forward = find(tmp_path / "1", symbiota(tmp_path), classes=classes)
    backward = find(tmp_path / "2", symbiota(tmp_path, PICTURES[::-1], RECORDS[::-1]), classes=classes)
    other = find(tmp_path / "3", symbiota(tmp_path), classes=classes, seed=2)
    assert [len([r for r in forward if r.fields["label"] == name]) for name in CLASSES] == [4, 4]
    assert forward == backward
    assert {r.image_id for r in forward} != {r.image_id for r in other}


def test_too_few_pictures_are_said_with_the_way_out(tmp_path):
    classes = {name: chosen | {"images": 11} for name, chosen in CLASSES.items()}
    with pytest.raises(UserError) as error:
        find(
            tmp_path,
            symbiota(tmp_path, [picture(n, rights="all mine", UsageTerms="") for n in (1, 3)] + PICTURES[3:]),
            classes=classes,
            licences=["CC-BY"],
        )
    assert "class 'clubmoss': 11 images are asked for and 8 exist (left out: 2 under all mine" in str(error.value)
    assert "ask for fewer (`images`) or allow more licences (`licences`)" in str(error.value)


def test_fields_stay_text_whatever_they_hold(tmp_path):
    hostile = "<script>alert(1)</script>"
    records = [
        record(1, recordedBy=hostile, locality="x" * 50_000, catalogNumber="../../../etc/passwd"),
        record(3, recordedBy='=cmd("/c calc")!A0', catalogNumber="\x1b[2J"),
    ]
    records += [record(2, "Selaginellaceae", catalogNumber="zero\u202e\u2028width\x00")]
    found = find(tmp_path, symbiota(tmp_path, records=records))
    assert {request.fields["recordedBy"] for request in found} == {hostile, '=cmd("/c calc")!A0', "A. Núñez"}
    assert max(len(str(value)) for request in found for value in request.fields.values()) <= 1000
    for request in found:
        assert all(part.strip(".") and part.isprintable() for part in request.image_id.split("/")), request.image_id
        assert request.image_id.count("/") == 1
        assert all(str(value).isprintable() or "\u202e" in str(value) for value in request.fields.values())


def test_an_archive_is_fetched_once_and_a_killed_run_goes_on(tmp_path, services):
    path = symbiota(tmp_path)
    services.store(files={"a.zip": str(path)})
    address = "https://portal.example.org/a.zip"
    services.faults(next={"/portal.example.org/a.zip": ["503", "reset"]})
    assert len(find(tmp_path / "w", address, services)) == 20
    assert len(find(tmp_path / "w", address, services)) == 20
    assert len(find(tmp_path / "w", address, services, seed=2)) == 20
    assert account(tmp_path / "w")[0]["archive"] == address
    assert services.counters()["requests"] == {"/portal.example.org/a.zip": 3}


def test_an_html_page_in_place_of_an_archive_is_named(tmp_path, services):
    services.store(files={"a.zip": str(symbiota(tmp_path))})
    services.faults(always={"/portal.example.org/a.zip": "html"})
    with pytest.raises(UserError, match="answered with an HTML page in place of the file"):
        find(tmp_path / "w", "https://portal.example.org/a.zip", services)
    services.reset()
    services.store(files={"a.zip": str(symbiota(tmp_path))})
    assert len(find(tmp_path / "w", "https://portal.example.org/a.zip", services)) == 20


def test_another_kind_of_file_in_place_of_an_archive_is_named(tmp_path, services):
    (tmp_path / "busy").write_text("we are busy, come again")
    services.store(files={"a.zip": str(tmp_path / "busy")})
    with pytest.raises(UserError, match="answered with another kind of file"):
        find(tmp_path / "w", "https://portal.example.org/a.zip", services)


def test_memory_does_not_grow_with_records_or_pictures(tmp_path):
    peaks = []
    for number in (500, 4_000):
        records = [record(n, "Lycopodiaceae" if n % 2 else "Selaginellaceae") for n in range(number)]
        path = symbiota(tmp_path, [picture(n) for n in range(number)], records)
        del records
        tracemalloc.start()
        assert (
            len(find(tmp_path / str(number), path, classes={k: v | {"images": 50} for k, v in CLASSES.items()})) == 100
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6


def test_a_descriptor_that_cannot_be_unpacked_is_one_sentence(tmp_path):
    path = write_archive(tmp_path / "archive.zip", occurrences(RECORDS))
    data = bytearray(path.read_bytes())
    data[data.find(b"meta.xml") + len("meta.xml")] = 0xFF  # a kind of block that deflate does not have
    path.write_bytes(data)
    with pytest.raises(UserError, match="is no Darwin Core Archive"):
        find(tmp_path, path)


@pytest.mark.parametrize("change", ['encoding="hex"', 'fieldsTerminatedBy="&#10;"', 'fieldsTerminatedBy="&#13;"'])
def test_a_descriptor_that_asks_for_what_csv_cannot_read_is_one_sentence(tmp_path, change):
    meta = f'<archive><core rowType="Occurrence" {change}><files><location>x</location></files></core></archive>'
    path = write_archive(tmp_path / "archive.zip", occurrences(RECORDS), meta=meta)
    with pytest.raises(UserError, match=r"meta\.xml .* cannot be used"):
        find(tmp_path, path)


def account(folder):
    """What citation.json says of the archive and of the classes; every media row is in it once."""
    said = json.loads((folder / "citation.json").read_text())
    return said["archives"][0], {label: one["left_out"] for label, one in said["classes"].items()}


def urls_of(found):
    return sorted(request.urls for request in found)


@pytest.mark.parametrize(
    ("kind", "form", "taken"),
    [
        ("StillImage", "application/octet-stream", True), ("StillImage", "jpg", True),
        ("image/jpeg", "StillImage", True),
        ("StillImage", "jpeg/image", True), ("StillImage", "images/jpeg", True), ("StillImage", "JPG/JPEG", True),
        ("Still Image", "", True), ("", "", True), ("Text", "image/jpeg", True), ("PhysicalObject", "", True),
        ("http://purl.org/dc/dcmitype/StillImage", "http://www.iana.org/assignments/media-types/image/tiff", True),
        ("Image", "binary/octet-stream", True), ("photograph", "unknown", True),
        ("StillImage", "text/html", False), ("", "application/pdf", False), ("MovingImage", "video/mp4", False),
        ("Sound", "", False), ("", "audio/mpeg", False), ("Text", "", False), ("InteractiveResource", "", False),
        ("MovingImage", "image/gif", False), ("StillImage", "model/gltf+json", False),
    ],
)  # fmt: skip
def test_formats_and_types_are_taken_or_counted(tmp_path, kind, form, taken):
    found = find(tmp_path, symbiota(tmp_path, [picture(1, type=kind, format=form), *PICTURES[1:]]))
    assert len(found) == 19 + taken
    held, left = account(tmp_path)
    assert held["media_rows"] == 20 == len(found) + sum(sum(one.values()) for one in left.values())
    assert taken or f"({', '.join(filter(None, (kind.lower(), form)))})" in next(iter(left["clubmoss"]))


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("https://img.example/a.jpg|https://img.example/b.jpg", 2),
        ("https://img.example/a.jpg; https://img.example/b.jpg;https://img.example/c.jpg", 3),
        ("https://img.example/a.jpg, https://img.example/b.jpg", 2),
        ("https://img.example/a.jpg https://img.example/b.jpg", 2),
        ("https://img.example/a.jpg\thttp://img.example/b.jpg", 2),
        ('<a href="https://img.example/a.jpg">a sheet</a>', 1),
        ("<img src='https://img.example/a.jpg'><img src='https://img.example/b.jpg'>", 2),
        ('["https://img.example/a.jpg","https://img.example/b.jpg"]', 2),
        ("HTTPS://img.example/a.jpg", 1),
        ("https://img.example/look?url=http://other.example/a b.jpg&amp;x=1,2", 1),
        ("https://img.example/a.jpg | https://img.example/a.jpg", 1),
    ],
)
@pytest.mark.parametrize("where", ["core", "identifier"])
def test_one_field_may_hold_several_addresses(tmp_path, field, number, where):
    if where == "core":
        records = [RECORDS[0] | {"associatedMedia": field}, *(row | {"associatedMedia": ""} for row in RECORDS[1:])]
        records[1] |= {"associatedMedia": "https://img.example/other.jpg"}
        path = write_archive(tmp_path / "a.zip", occurrences(records))
    else:
        only = {"accessURI": "", "goodQualityAccessURI": "", "type": "StillImage"}
        path = symbiota(tmp_path, [picture(1, identifier=field, **only), picture(2)])
    found = [request for request in find(tmp_path, path) if request.fields["specimen_id"] == "00000001"]
    assert len(found) == number
    assert all(" | " not in url and "&amp;" not in url for request in found for url in request.urls)


def test_records_without_media_rows_fall_back_on_their_associated_media(tmp_path):
    records = [row | {"associatedMedia": f"https://img.example/{row['id']}-core.jpg"} for row in RECORDS]
    for number, pictures in enumerate(([], [picture(1), picture(2), picture(3, type="Sound", format="audio/mpeg")])):
        part = media(pictures or [dict.fromkeys(PICTURES[0], "")][:0], name="multimedia.txt")
        if not pictures:
            part = media(PICTURES[:1], lines=())
            part = type(part)(**{**vars(part), "rows": []} | {"header": 0})
        path = write_archive(tmp_path / f"{number}.zip", occurrences(records), part)
        found = find(tmp_path / str(number), path)
        assert len(found) == 20
        assert sum(url.endswith("-core.jpg") for request in found for url in request.urls) == (18 if pictures else 20)


VARIANTS = ("Thumbnail", "Best Quality", "Good Quality", "http://rs.tdwg.org/acvariant/values/v003", "MediumQuality")


def variant_rows(number):
    return [
        picture(number, identifier=f"img-{number}", accessURI=f"https://img.example/{number}/{place}.jpg",
                goodQualityAccessURI="", variant=variant)
        for place, variant in enumerate(VARIANTS)
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "order"), [("web", (2, 4, 1, 3)), ("original", (1, 2, 4, 3))])
def test_variants_of_a_picture_are_one_picture_without_its_thumbnail(tmp_path, size, order):
    rows = [row for number in range(1, 21) for row in variant_rows(number)]
    for name, some in (("forward", rows), ("backward", rows[::-1])):
        found = find(tmp_path / name, symbiota(tmp_path, some), size=size)
        assert len(found) == 20
        assert found[0].urls == tuple(f"https://img.example/1/{place}.jpg" for place in order)
        _, left = account(tmp_path / name)
        assert left["clubmoss"] == {"that are thumbnails": 10, "that are another size of one that is kept": 30}


@pytest.mark.parametrize(
    ("addresses", "number", "first"),
    [
        (["x_tn.jpg", "x_web.jpg", "x_lg.jpg"], 1, "x_web.jpg"),
        (["large/x.jpg", "web/x.jpg", "thumbs/x.jpg"], 1, "web/x.jpg"),
        (["x.tif", "x.jpg"], 1, "x.jpg"),
        (["7/original.jpg", "7/medium.jpg"], 1, "7/medium.jpg"),
        (["x?size=large", "x?size=small"], 1, "x?size=large"),
        (["x_1.jpg", "x_2.jpg"], 2, "x_1.jpg"),
        (["x.jpg?id=1", "x.jpg?id=2"], 2, "x.jpg?id=1"),
        (["x_thumb.jpg"], 0, ""),
        (["sheetweb.jpg", "sheet.jpg"], 2, "sheet.jpg"),
    ],
)
def test_the_same_picture_in_two_sizes_counts_once(tmp_path, addresses, number, first):
    base = "https://img.example/"
    rows = [
        picture(1, identifier=base + address, accessURI=base + address, goodQualityAccessURI="")
        for address in addresses
    ]
    orders = []
    for some in (rows, rows[::-1]):
        found = find(tmp_path / str(len(orders)), symbiota(tmp_path, [*some, *PICTURES[1:]]))
        mine = [request for request in found if request.fields["specimen_id"] == "00000001"]
        assert len(mine) == number
        orders.append(urls_of(mine))
    assert orders[0] == orders[1]
    assert not number or orders[0][0][0] == base + first


def test_an_address_of_a_page_is_the_last_resort_if_it_is_one_of_a_picture(tmp_path):
    empty = {"identifier": "", "accessURI": "", "goodQualityAccessURI": ""}
    rows = [
        picture(1, references="https://img.example/1.JPG", **empty),
        picture(3, references="https://img.example/3", **empty),
        *PICTURES[4:],
    ]
    found = find(tmp_path, symbiota(tmp_path, rows))
    assert ("https://img.example/1.JPG",) in urls_of(found)
    assert account(tmp_path)[1]["clubmoss"] == {"without an address": 1}


def fails(tmp_path, *parts, **changes):
    with pytest.raises(UserError) as error:
        find(tmp_path / "w", write_archive(tmp_path / "a.zip", *parts), **changes)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_no_picture_at_all_is_said_with_its_reason(tmp_path):
    event = occurrences(RECORDS, row_type="http://rs.tdwg.org/dwc/terms/Event")
    assert "core of a.zip is Event and not Occurrence" in fails(tmp_path, event, media([picture(999)]))
    taxon = occurrences(RECORDS, row_type="http://rs.tdwg.org/dwc/terms/Taxon")
    assert "is Taxon and not Occurrence" in fails(tmp_path, taxon, media([picture(999)]))
    where = {name: {"where": {"familly": "x"}} for name in CLASSES}
    assert "have no term 'familly', but 'family'" in fails(tmp_path, occurrences(RECORDS), classes=where)
    where = {name: {"where": {"zzz": "x"}} for name in CLASSES}
    assert "have no term 'zzz'; their terms are catalogNumber" in fails(tmp_path, occurrences(RECORDS), classes=where)
    assert "has no table of media, and its records no term associatedMedia" in fails(tmp_path, occurrences(RECORDS))
    ferns = [row | {"family": "Polypodiaceae"} for row in RECORDS]
    assert "none of the 20 records of a.zip is of a class" in fails(tmp_path, occurrences(ferns), media(PICTURES))
    nothing = media(PICTURES[:1], lines=())
    nothing = type(nothing)(**{**vars(nothing), "rows": PICTURES[:0], "header": 0})
    assert "the table of media of a.zip is empty" in fails(tmp_path, occurrences(RECORDS), nothing)
    silent = [picture(n, rights="", UsageTerms="") for n in range(1, 21)]
    said = fails(tmp_path, occurrences(RECORDS), media(silent), licences=["CC0"])
    assert "0 exist (left out: 10 whose licence nobody asserted): ask for fewer" in said


def test_what_was_swallowed_and_what_was_left_out_is_said(tmp_path, caplog):
    caplog.set_level("INFO")
    strays = [picture(n, creator='"Bud' if n == 4 else '"Bud" Smith') for n in range(1, 21)]
    part = media([*strays, picture(999)], quote="", delimiter="\t")
    meta = write_archive(tmp_path / "b.zip", occurrences(RECORDS), media(strays, delimiter="\t"))
    with zipfile.ZipFile(meta) as file:
        described = file.read("meta.xml").decode()
    path = write_archive(tmp_path / "a.zip", occurrences(RECORDS), part, meta=described)
    found = find(tmp_path, path)
    assert len(found) == 20
    assert {request.fields["creator"] for request in found} == {'"Bud', '"Bud" Smith'}
    assert "multimedia.csv of a.zip: 20 lines with a quotation mark" in caplog.text
    assert "20 records, 20 records of the classes, 21 media rows, 1 media rows of other records" in caplog.text
    assert account(tmp_path)[0] == {
        "archive": str(path), "records": 20, "records_of_the_classes": 20, "media_rows": 21,
        "media_rows_of_other_records": 1,
    }  # fmt: skip


@pytest.mark.parametrize("flag", ["localitySecurity", "recordSecurity", "informationWithheld", "securityReason"])
def test_protected_places_reach_no_file(tmp_path, flag):
    records = [record(1, locality="SECRET", decimalLatitude="12.34567", **{flag: "1"}), *RECORDS[1:]]
    find(tmp_path / "w", symbiota(tmp_path, records=records))
    for path in (tmp_path / "w").rglob("*"):
        assert b"SECRET" not in path.read_bytes() and b"12.34567" not in path.read_bytes()


@pytest.mark.parametrize(
    "rights", ["Metadata CC0 1.0; images all rights reserved", "Not CC BY 4.0", "CC BY 4.0, non-commercial only"]
)
def test_a_statement_that_takes_something_back_is_no_free_licence(tmp_path, rights):
    rows = [picture(1, rights=rights, UsageTerms=""), *PICTURES[1:]]
    found = find(tmp_path, symbiota(tmp_path, rows), licences=["CC0", "CC-BY"])
    assert len(found) == 19
    assert account(tmp_path)[1]["clubmoss"] == {"whose licence nobody asserted": 1}


def join(folder, found, text):
    """The rows of a listing of pictures, after a join with the museum's own table."""
    (folder / "mine.csv").write_text(text)
    return list(specimen_records.join((LISTING | one.fields for one in found), Records(path=str(folder / "mine.csv"))))


def test_a_protected_place_stays_out_when_the_museums_own_table_knows_it(tmp_path, caplog):
    caplog.set_level("INFO")
    records = [
        record(1, locality="SECRET", recordSecurity="1"),
        *(row | {"recordSecurity": "NA"} for row in RECORDS[1:]),
    ]
    found = find(tmp_path / "w", symbiota(tmp_path, records=records))
    text = "catalogNumber,storageLocation,locality,decimalLatitude\n00000001,cab 1,SECRET,1.5\n00000003,,here,\n"
    rows = {row["specimen_id"]: row for row in join(tmp_path, found, text)}
    assert [rows["00000001"][name] for name in ("storageLocation", "locality", "decimalLatitude")] == ["cab 1", "", ""]
    assert rows["00000003"]["locality"] == "by the river"
    assert account(tmp_path / "w")[0]["records_with_a_protected_place"] == 1
    assert "1 records with a protected place" in caplog.text


def test_a_later_record_of_the_same_id_protects_the_place(tmp_path):
    secret = record(1, locality="SECRET " * 2000, recordSecurity="0")
    records = [secret, *RECORDS[1:], record(1, recordSecurity="1")]
    fields = find(tmp_path, symbiota(tmp_path, records=records))
    one = next(request.fields for request in fields if request.fields["specimen_id"] == "00000001")
    assert (one.get("locality", ""), one["informationWithheld"], one["recordedBy"]) == ("", "the place", "A. Núñez")
    assert b"SECRET" not in (tmp_path / "candidates.sqlite").read_bytes()


def bare(number, address):
    return {"id": str(number), "identifier": address}


def test_two_sizes_of_a_picture_without_a_licence_are_one_picture(tmp_path):
    rows = [
        bare(1, "https://i.example/K1_lg.jpg"),
        bare(1, "https://i.example/K1_web.jpg"),
        bare(2, "https://i.example/K2.jpg"),
    ]
    found = find(tmp_path, symbiota(tmp_path, rows, RECORDS[:2]))
    assert urls_of(found) == [
        ("https://i.example/K1_web.jpg", "https://i.example/K1_lg.jpg"), ("https://i.example/K2.jpg",)
    ]  # fmt: skip


@pytest.mark.parametrize("licence", ["free, but\u2028ask", "x" * 1200])
def test_two_sizes_under_one_long_statement_are_one_picture(tmp_path, licence):
    rows = [bare(1, f"https://i.example/K1_{size}.jpg") | {"license": licence} for size in ("lg", "web")]
    found = find(tmp_path, symbiota(tmp_path, [*rows, bare(2, "https://i.example/K2.jpg")], RECORDS[:2]))
    assert sorted(len(request.urls) for request in found) == [1, 2]


@pytest.mark.parametrize(
    "row",
    [
        {"identifier": ""},
        {"identifier": "https://img.example/1_tn.jpg"},
        {"identifier": "/media/1.jpg"},
        {"identifier": "urn:uuid:1", "references": "https://img.example/pages/1"},
        {"identifier": "https://img.example/1", "format": "text/html"},
    ],
)
def test_a_media_row_without_a_usable_picture_leaves_the_record_its_associated_media(tmp_path, row):
    records = [RECORDS[0] | {"associatedMedia": "https://img.example/1-core.jpg"}, RECORDS[1] | {"associatedMedia": ""}]
    rows = [{"id": "1", "references": "", "format": ""} | row, {"id": "2", "identifier": "https://img.example/2.jpg"}]
    found = find(tmp_path, symbiota(tmp_path, rows, records))
    assert urls_of(found) == [("https://img.example/1-core.jpg",), ("https://img.example/2.jpg",)]


def test_a_picture_that_its_licence_forbids_does_not_come_back_through_the_record(tmp_path):
    records = [row | {"associatedMedia": f"https://img.example/{row['id']}-core.jpg"} for row in RECORDS[:3]]
    rows = [picture(1, rights="all rights reserved", UsageTerms=""), picture(2), picture(3)]
    assert len(find(tmp_path, symbiota(tmp_path, rows, records), licences=["CC-BY"])) == 2
    assert sum(account(tmp_path)[1]["clubmoss"].values()) == 1


@pytest.mark.parametrize("identifier", ["urn:uuid:1", "", "/media/1.jpg", "K1"])
def test_an_identifier_that_is_no_address_leaves_the_references(tmp_path, identifier):
    rows = [
        bare(1, identifier) | {"references": "https://img.example/1.jpg"},
        bare(2, "https://img.example/2.jpg") | {"references": "https://img.example/page.jpg"},
    ]
    found = find(tmp_path, symbiota(tmp_path, rows, RECORDS[:2]))
    assert urls_of(found) == [("https://img.example/1.jpg",), ("https://img.example/2.jpg",)]


def renamed(table, row_type):
    return type(table)(**{**vars(table), "row_type": f"http://rs.gbif.org/terms/1.0/{row_type}"})


def test_a_class_without_pictures_is_told_why(tmp_path):
    others = media([picture(f"a{n}") for n in range(1, 21)])
    said = fails(tmp_path, occurrences(RECORDS), others)
    assert "20 media rows of a.zip belong to no record of the classes, e.g. id 'a1'" in said
    assert "none of the 10 records of class 'clubmoss' in a.zip names a picture to ask for" in said
    classes = {"clubmoss": {"where": {"family": ["Lycopodiacae", "Lykopodiaceae"], "institutionCode": "US"}}}
    classes |= {"spikemoss": CLASSES["spikemoss"]}
    said = fails(tmp_path, occurrences(RECORDS), media(PICTURES), classes=classes)
    assert "no record of a.zip has family Lycopodiacae or Lykopodiaceae and institutionCode US" in said
    assert "Selaginellaceae" not in said
    records = [row | {"associatedMedia": ""} for row in RECORDS]
    said = fails(tmp_path, occurrences(records), renamed(media(PICTURES), "Pictures"))
    assert (
        "a.zip has no table of media (its extensions are Pictures), and 0 records of the classes have the term"
        " associatedMedia" in said
    )
    said = fails(tmp_path, occurrences(RECORDS), renamed(media(PICTURES), "Pictures"))
    assert "it has no table of media (its extensions are Pictures), and its records no term associatedMedia" in said
