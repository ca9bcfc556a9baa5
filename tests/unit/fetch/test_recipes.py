"""Each recipe of the how-to pages, from its config to the listing, with files such as people have."""

import json
import re
import zipfile
from pathlib import Path

import pytest
import yaml
from PIL import Image

from sheetlens.common.files import read_table
from sheetlens.config import read_files
from sheetlens.fetch import remote
from sheetlens.fetch.dry_run import explain_study
from sheetlens.fetch.records.specimen_records import join_listing
from sheetlens.fetch.sources import folder
from sheetlens.fetch.summary import left_out
from tests.services.archives import gbif, media, occurrences, write_archive

ROOT = Path(__file__).parents[3]
PAPER = ROOT / "config/config.yaml"
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = ("table-of-addresses", "iiif", "symbiota", "gbif", "spreadsheet")
RECIPES = {
    next(iter(yaml.safe_load(block)["datasets"])): block
    for page in PAGES
    for block in BLOCK.findall((ROOT / f"docs/how-to/{page}.md").read_text())
}
BY = "http://creativecommons.org/licenses/by/4.0/"
NUMBERS = range(1, 9)


def written(tmp_path, name):
    """A recipe as the reader saves it, with only the numbers of images made small."""
    path = tmp_path / "mine.yaml"
    path.write_text(re.sub(r"images: \d+", "images: 3", RECIPES[name]))
    return path


def fetched(tmp_path, name, services):
    """The listing that the recipe leads to, laid over the paper's config."""
    study = read_files([PAPER, written(tmp_path, name)])
    assert list(study.chosen) == [name] and study.study == "own"
    dataset, listing = study.datasets[name], tmp_path / "listing.parquet"
    if dataset.source == "folder":
        found = folder.fetch(dataset.source_settings, labelled=not dataset.records.label)
        found.to_parquet(listing)
    else:
        remote.fetch(dataset.source, dataset.source_settings, services.settings(), tmp_path / "originals", listing)
    if dataset.records:
        join_listing(listing, dataset.records)
    return read_table(listing)


def family(number):
    return "Lycopodiaceae" if number % 2 else "Selaginellaceae"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_there_is_a_recipe_for_each_of_them():
    assert list(RECIPES) == ["ferns", "herbarium_iiif", "mosses", "lycophytes_gbif", "stain"]


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_fetches_nothing_of_the_paper(tmp_path, name):
    (tmp_path / "ferns.csv").write_text("accessURI,genus\nhttps://a.example/1.jpg,Dryopteris\n")
    (tmp_path / "services.csv").write_text("service,family\nhttps://a.example/iiif/1,Dryopteridaceae\n")
    lines = list(explain_study([PAPER, written(tmp_path, name)]))
    assert lines[0].startswith(f"{name}: ")
    assert not any("mercury" in line or "would be fetched, too" in line for line in lines)


def test_the_dry_run_says_where_the_papers_data_sets_come_along(tmp_path):
    (tmp_path / "ferns.csv").write_text("accessURI,genus\nhttps://a.example/1.jpg,Dryopteris\n")
    changed = re.sub(r"^(study|run):.*\n", "", RECIPES["ferns"], flags=re.MULTILINE)
    (tmp_path / "mine.yaml").write_text(changed)
    said = list(explain_study([PAPER, tmp_path / "mine.yaml"]))[-1]
    assert said.startswith("mercury and lycophytes are those of ") and "write `run: [ferns]` and `study: own`" in said


def test_the_example_of_the_config_manual_is_of_its_own_study(tmp_path):
    page = (ROOT / "docs/reference/configuration.md").read_text()
    example = next(block for block in BLOCK.findall(page) if "ferns.csv" in block)
    (tmp_path / "mine.yaml").write_text(example)
    assert list(read_files([PAPER, tmp_path / "mine.yaml"]).chosen) == ["ferns"]


def test_a_table_of_addresses(tmp_path, services):
    rows = [f"{services.url(f'/images/{n}.jpg')};{'Dryopteris' if n % 2 else 'Asplénium'};CC BY-NC" for n in NUMBERS]
    (tmp_path / "ferns.csv").write_bytes(("accessURI;Genus;license\n" + "\n".join(rows)).encode("cp1252"))
    found = fetched(tmp_path, "ferns", services)
    assert found["label"].value_counts().to_dict() == {"Dryopteris": 4, "Asplénium": 4}
    assert set(found["status"]) == {"ok"}
    assert set(zip(found["licence"], found["licence_asserted"], strict=True)) == {("CC-BY-NC", True)}


def test_the_archive_of_a_symbiota_portal(tmp_path, services):
    records = [
        {"id": str(n), "catalogNumber": f"US{n:05d}", "family": family(n), "locality": "SECRET" if n < 3 else "a place",
         "recordSecurity": "1" if n == 1 else "", "localitySecurity": "1" if n == 2 else "0"}
        for n in NUMBERS
    ]  # fmt: skip
    pictures = [
        {"id": str(n), "accessURI": services.url(f"/images/{n}_lg.jpg"), "goodQualityAccessURI":
         services.url(f"/images/{n}_web.jpg"), "thumbnailAccessURI": services.url(f"/images/{n}_tn.jpg"),
         "format": "image/jpeg", "type": "StillImage", "rights": "" if n == 7 else BY,
         "UsageTerms": "CC BY-NC-SA" if n == 7 else "", "creator": '"Bud" Ek'}
        for n in NUMBERS
    ]  # fmt: skip
    write_archive(tmp_path / "portal.zip", occurrences(records), media(pictures))
    found = fetched(tmp_path, "mosses", services)
    assert found["label"].value_counts().to_dict() == {"spikemoss": 4, "clubmoss": 3}
    assert set(found["status"]) == {"ok"} and all(url.endswith("_web.jpg") for url in found["source_url"])
    assert "SECRET" not in set(found["locality"])
    said = json.loads((tmp_path / "citation.json").read_text())
    assert said["classes"]["clubmoss"] == {"candidates": 3, "left_out": {"whose licence nobody asserted": 1}}
    assert left_out(tmp_path / "citation.json") == [
        "Class 'clubmoss': 3 pictures could be asked for. Left out before: 1 whose licence nobody asserted.",
        "Class 'spikemoss': 4 pictures could be asked for.",
    ]
    assert left_out(tmp_path / "none.json") == []


def test_a_gbif_download_on_disk_keeps_its_doi(tmp_path, services):
    records = [
        {"id": str(n), "gbifID": str(n), "catalogNumber": f"{n:08d}", "family": family(n), "locality": '"El Yunque'}
        for n in NUMBERS
    ]
    pictures = [
        {"id": str(n), "type": "StillImage", "format": "image/jpeg", "identifier": services.url(f"/images/{n}.jpg"),
         "license": BY}
        for n in NUMBERS
    ]  # fmt: skip
    name = "0012345-260101120000000.zip"
    write_archive(tmp_path / name, *gbif(records, pictures))
    with zipfile.ZipFile(tmp_path / name, "a") as file:
        file.writestr(
            "citations.txt", "GBIF.org (1 January 2026) GBIF Occurrence Download https://doi.org/10.15468/dl.a1b2c3"
        )
    found = fetched(tmp_path, "lycophytes_gbif", services)
    assert found["label"].value_counts().to_dict() == {"clubmoss": 3, "spikemoss": 3}
    assert set(found["locality"]) == {'"El Yunque'}
    archive = json.loads((tmp_path / "citation.json").read_text())["archives"][0]
    assert (archive["archive"], archive["doi"], archive["media_rows"]) == (name, "10.15468/dl.a1b2c3", 8)


def test_photographs_and_a_colleagues_spreadsheet(tmp_path):
    (tmp_path / "photographs/tray 7").mkdir(parents=True)
    for name in ("K00000001", "K00000001_1", "K00000002", "K000000011", "K00000009"):
        Image.new("RGB", (200, 300), "white").save(tmp_path / f"photographs/tray 7/{name}.jpg")
    rows = [
        "Barcode;Treatment;Cabinet;Collector",
        "k-1;stained;A 1;Núñez",
        "K00000002;unstained;;Ek",
        "K00000011;stained;B 2;",
    ]
    (tmp_path / "cabinets.csv").write_bytes("\r\n".join(rows).encode("cp1252"))
    found = fetched(tmp_path, "stain", None).set_index("specimen_id")
    assert found["label"].to_dict() == {
        "K00000001": "stained", "K00000001_1": "stained", "K00000002": "unstained", "K000000011": "stained",
        "K00000009": "",
    }  # fmt: skip
    assert found["storageLocation"].to_dict() == {
        "K00000001": "A 1", "K00000001_1": "A 1", "K00000002": "", "K000000011": "B 2", "K00000009": "",
    }  # fmt: skip
    assert found.loc["K00000001", "recordedBy"] == "Núñez"
    assert found.loc["K00000009", "status"] == "refused"


def test_a_table_of_iiif_services(tmp_path, services):
    rows = [f"{services.url(f'/iiif.example.org/box3/{n}')},{family(n)}" for n in NUMBERS]
    (tmp_path / "services.csv").write_text("service,family\n" + "\n".join(rows))
    found = fetched(tmp_path, "herbarium_iiif", services)
    assert found["label"].value_counts().to_dict() == {"Lycopodiaceae": 4, "Selaginellaceae": 4}
    assert set(found["status"]) == {"ok"} and set(found["route"]) == {"iiif !1024,1024"}
