import base64
import hashlib
import io
import tarfile

import pytest

from sheetlens.common.errors import UserError
from sheetlens.common.files import read_table
from sheetlens.config import FigshareFile
from sheetlens.fetch import remote
from sheetlens.fetch.listing import LISTING
from tests.services.plain import picture

HOSTS = ("api.figshare.com", "ndownloader.figshare.com", "figshare.com", "s3-eu-west-1.amazonaws.com")
DOWNLOAD, SECOND, THIRD = (
    "/api.figshare.com/v2/file/download/91", "/ndownloader.figshare.com/files/91", "/figshare.com/ndownloader/files/91",
)  # fmt: skip


def tar(names, folder="sheets/"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in names:
            body = picture(name)
            member = tarfile.TarInfo(folder + name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


ARCHIVES = {91: tar(["00000001.jpg", "00000002.jpg"]), 92: tar(["00000003.jpg", "00000004.jpg", "00000005.jpg"])}
CONFIG = {
    "stained": FigshareFile(article=1, file=91, images=2),
    "unstained": FigshareFile(article="10.25573/data.2.v1", file=92, images=3),
}


def file_object(number, body, **changes):
    md5 = hashlib.md5(body).hexdigest()
    return {
        "id": number, "name": f"archive {number}.tar.gz", "size": len(body), "is_link_only": False,
        "download_url": f"https://figshare.com/ndownloader/files/{number}", "supplied_md5": "", "computed_md5": md5,
    } | changes  # fmt: skip


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr("sheetlens.fetch.sources.figshare.PAGE", 10)  # so that eleven files are two pages


@pytest.fixture
def figshare(services):
    """figshare with an article of one file, and one whose file is the eleventh."""

    def hold(**changes):
        others = [file_object(number, b"x") for number in range(10)]
        people = [{"full_name": "Eric <b>S.</b>"}, {"full_name": "P. F."}]
        licence = {"value": 2, "name": "CC0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}
        about = {"title": "Sheets", "license": licence, "authors": people}
        first = file_object(91, ARCHIVES[91], **changes)
        second = [*others, file_object(92, ARCHIVES[92])]
        articles = {"1": about | {"files": [first]}, "2": {"license": None, "authors": "?", "files": second}}
        bodies = {str(number): base64.b64encode(body).decode() for number, body in ARCHIVES.items()}
        services.store(articles=articles, bodies=bodies)
        return services

    hold()
    services.hold = hold
    return services


def fetch(services, folder, config=CONFIG, **changes):
    settings = services.settings(*HOSTS, **changes)
    remote.fetch("figshare", config, settings, folder / "originals", folder / "listing.parquet")
    return read_table(folder / "listing.parquet").set_index("image_id")


def test_both_archives_are_fetched_checked_and_unpacked(figshare, tmp_path):
    table = fetch(figshare, tmp_path)
    assert [table.index.name, *table.columns] == list(LISTING)
    assert table["label"].value_counts().to_dict() == {"stained": 2, "unstained": 3}
    row = table.loc["stained/00000001.jpg"]
    assert (tmp_path / "originals/stained/00000001.jpg").read_bytes() == picture("00000001.jpg")
    assert row["path"] == (tmp_path / "originals/stained/00000001.jpg").as_posix()
    assert (row["specimen_id"], row["route"], row["licence"]) == ("00000001", "figshare archive", "CC0-1.0")
    assert bool(row["licence_asserted"]) and row["creator"] == "Eric <b>S.</b>; P. F."
    assert row["sha256"] == hashlib.sha256(picture("00000001.jpg")).hexdigest()
    assert not table.loc["unstained/00000003.jpg", "licence_asserted"]
    sums = (tmp_path / "originals/SHA256SUMS").read_text().splitlines()
    assert f"{row['sha256']}  stained/00000001.jpg" in sums
    before = figshare.counters()["completed"]["/s3-eu-west-1.amazonaws.com/figshare/91"]
    assert fetch(figshare, tmp_path).equals(table)
    assert figshare.counters()["completed"]["/s3-eu-west-1.amazonaws.com/figshare/91"] == before == 1


def test_the_next_route_is_taken_where_one_is_barred(figshare, tmp_path):
    figshare.faults(always={DOWNLOAD: "waf"}, next={SECOND: ["403"]})
    figshare.hold(download_url="https://ndownloader.figshare.com/files/91?private_link=x")
    assert len(fetch(figshare, tmp_path)) == 5
    requests = figshare.counters()["requests"]
    assert (requests[DOWNLOAD], requests[SECOND]) == (1, 2)
    assert THIRD not in requests


@pytest.mark.parametrize("kind", ["wrong", "cut", "reset", "short", "html", "empty", "202", "429"])
def test_a_spoilt_archive_is_fetched_again(figshare, tmp_path, kind):
    figshare.faults(next={"/s3-eu-west-1.amazonaws.com/figshare/91": [kind]})
    assert len(fetch(figshare, tmp_path)) == 5


@pytest.mark.parametrize(
    ("faults", "changes", "reason"),
    [
        ({DOWNLOAD: "waf", SECOND: "waf", THIRD: "waf"}, {}, "a challenge for browsers"),
        ({DOWNLOAD: "403", SECOND: "403", THIRD: "html"}, {}, "answered 403"),
        ({}, {"computed_md5": "0" * 32}, "00000000000000000000000000000000 expected"),
        ({}, {"size": 5}, "more than the 5 allowed or expected"),
        ({}, {"is_link_only": True, "computed_md5": ""}, "has only a link to it"),
        ({}, {"computed_md5": ""}, "states no size or no MD5"),
    ],
)
def test_what_figshare_does_not_give_can_be_put_there_by_hand(figshare, tmp_path, caplog, faults, changes, reason):
    figshare.faults(always=faults)
    figshare.hold(**changes)
    caplog.set_level("INFO")
    with pytest.raises(UserError) as error:
        fetch(figshare, tmp_path, attempts=2)
    address = "https://figshare.com/ndownloader/files/91"
    assert f"open the address in a browser and save the file there: {address} as" in str(error.value)
    assert f"{tmp_path}/archives/91.tar.gz" in str(error.value)
    assert reason in caplog.text
    assert not (tmp_path / "listing.parquet").exists()
    figshare.hold()
    (tmp_path / "archives/91.tar.gz").write_bytes(ARCHIVES[91])
    assert len(fetch(figshare, tmp_path)) == 5


def test_without_figshare_a_placed_archive_and_the_config_do(figshare, tmp_path):
    (tmp_path / "archives").mkdir()
    for number, body in ARCHIVES.items():
        (tmp_path / f"archives/{number}.tgz").write_bytes(body)
    figshare.faults(always={f"/api.figshare.com/v2/articles/{number}": "503" for number in (1, 2)})
    assert len(fetch(figshare, tmp_path, attempts=1)) == 5


def test_a_placed_file_that_is_another_one_is_refused(figshare, tmp_path):
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/91.tar.gz").write_bytes(ARCHIVES[92])
    with pytest.raises(UserError, match=r"91.tar.gz has .* bytes and the MD5 .*: delete it"):
        fetch(figshare, tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": 3}, "class 'stained' has 2 images in .*, and the config expects 3"),
        ({"file": 5}, "article 1 on figshare has no file 5; it has 91: correct the config"),
        ({"article": 7}, "figshare does not describe article 7: api.figshare.com answered 404"),
        ({"article": "seven"}, "'seven' is neither the number nor the DOI"),
        ({"md5": "1" * 32}, "figshare did not give file 91"),
    ],
)
def test_a_wrong_config_is_named(figshare, tmp_path, change, sentence):
    config = CONFIG | {"stained": CONFIG["stained"].model_copy(update=change)}
    with pytest.raises(UserError, match=sentence):
        fetch(figshare, tmp_path, config)


def test_version_three_of_the_interface_is_a_setting(figshare, tmp_path):
    service = "https://api.figshare.com/v3/items"
    config = {label: wanted.model_copy(update={"service": service}) for label, wanted in CONFIG.items()}
    assert len(fetch(figshare, tmp_path, config)) == 5
    assert "/api.figshare.com/v3/file/download/91" in figshare.counters()["requests"]
