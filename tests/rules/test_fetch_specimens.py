"""Sources that find pictures through specimen records, from the config to the files they leave."""

import csv
import io
import json

import pandas as pd
import pytest
import yaml
from PIL import Image

from tests.conftest import sheetlens, snakemake
from tests.services.plain import picture
from tests.unit.fetch.test_gbif import hold, many

FILES = [f"results/mosses/{name}" for name in ("listing.parquet", "citation.json", "originals/SHA256SUMS")]


def polite(services):
    settings = services.settings("api.gbif.org")
    return settings.model_dump(mode="json")


def of_gbif(services, count, start, family):
    """Records whose pictures are at plain hosts of the stand-ins."""
    records = many(count, start, family=family)
    for number, record in enumerate(records):
        address = services.url(f"/images/{record['key']}.jpg", host=1 + number % 4)
        record["media"] = [record["media"][0] | {"identifier": address}]
    return records


@pytest.fixture
def mosses(services, tmp_path):
    hold(services, of_gbif(services, 40, 0, "Lycopodiaceae"), of_gbif(services, 30, 500, "Selaginellaceae"))
    (tmp_path / "cabinets.csv").write_text("Barcode,Cabinet\n" + "".join(f"{n}.0,C{n % 7}\n" for n in range(40)))
    gbif = {
        "classes": {
            "clubmoss": {"name": "Lycopodiaceae", "images": 25},
            "spikemoss": {"name": "Selaginellaceae", "images": 25},
        },
        "institution": "US",
        "licences": ["CC0"],
    }
    records = {"path": "cabinets.csv", "barcode": "barcode", "columns": {"storageLocation": "Cabinet"}}
    dataset = {"title": "Mosses", "source": "gbif", "network": "table2", "gbif": gbif, "records": records}
    config = {"study": "own", "run": ["mosses"], "datasets": {"mosses": dataset}, "fetch": polite(services)}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_the_recipe_of_the_paper_brings_a_balanced_sample_with_its_records(services, mosses):
    result = snakemake(mosses, *FILES, "--cores", 1, "--configfile", mosses / "config.yaml")
    assert result.returncode == 0, result.stderr
    listing = pd.read_parquet(mosses / "results/mosses/listing.parquet")
    assert listing["label"].value_counts().to_dict() == {"clubmoss": 25, "spikemoss": 25}
    assert set(listing["status"]) == {"ok"}
    assert set(listing["licence"]) == {"CC0-1.0"}
    assert set(listing["route"]) == {f"127.0.0.{host} original" for host in (1, 2, 3, 4)}
    for row in listing.to_dict("records"):
        name = row["source_url"].rsplit("/", 1)[-1]
        assert (mosses / row["path"]).read_bytes() == picture(name)
        number = int(row["catalogNumber"])
        assert row["storageLocation"] == (f"C{number % 7}" if number < 40 else "")
    log = (mosses / "logs/fetch_specimens/mosses.log").read_text()
    assert "25 of 50 images have a record" in log
    cited = json.loads((mosses / "results/mosses/citation.json").read_text())
    assert cited["service"] == "GBIF.org"
    asked = services.counters()["requests"]
    again = snakemake(mosses, *FILES, "--cores", 1, "--configfile", mosses / "config.yaml")
    assert "Nothing to be done" in again.stdout + again.stderr
    (mosses / "cabinets.csv").write_text("Barcode,Cabinet\n7,moved\n")
    assert snakemake(mosses, *FILES, "--cores", 1, "--configfile", mosses / "config.yaml").returncode == 0
    assert services.counters()["requests"] == asked, "new records bring no picture again"


def test_hostile_fields_reach_the_credits_as_text(services, mosses):
    formula, html = '=HYPERLINK("http://evil.example")', "<img src=x onerror=alert(1)>"
    records = of_gbif(services, 40, 0, "Lycopodiaceae")
    for record in records:
        record |= {"recordedBy": html, "catalogNumber": "../../../../tmp/evil"}
        record["media"][0] |= {"creator": formula, "rightsHolder": "+" + html}
    hold(services, records, of_gbif(services, 30, 500, "Selaginellaceae"))
    section = yaml.safe_load((mosses / "config.yaml").read_text())["datasets"]["mosses"]["gbif"]
    listing, output = mosses / "listing.parquet", mosses / "credits.csv"
    sheetlens(
        "fetch", "gbif", "--settings", json.dumps(section), "--originals", mosses / "originals", "--listing", listing,
        "--polite", json.dumps(polite(services)), check=True,
    )  # fmt: skip
    sheetlens("credit", "--manifest", listing, "--output", output, check=True)
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    hostile = [row for row in rows if row["label"] == "clubmoss"]
    assert {(row["creator"], row["rights_holder"]) for row in hostile} == {("'" + formula, "'+" + html)}
    assert {path.parent.parent for path in mosses.rglob("*.jpg")} == {mosses / "originals"}


def test_photographs_without_class_folders_get_their_class_from_the_records(tmp_path):
    (tmp_path / "photos/drawer 1").mkdir(parents=True)
    for number in range(8):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / f"photos/drawer 1/{number:08d}.png")
    (tmp_path / "mine.csv").write_text("barcode,family\n" + "".join(f"{n},{'AB'[n % 2]}\n" for n in range(7)))
    dataset = {
        "title": "Mine", "source": "folder", "folder": {"path": "photos"}, "network": "table1",
        "records": {"path": "mine.csv", "barcode": "barcode", "label": "family"},
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"run": ["own"], "datasets": {"own": dataset}}))
    listing = "results/own/listing.parquet"
    result = snakemake(tmp_path, listing, "--cores", 1, "--configfile", tmp_path / "config.yaml")
    assert result.returncode == 0, result.stderr
    table = pd.read_parquet(tmp_path / listing)
    assert table["label"].tolist() == ["A", "B", "A", "B", "A", "B", "A", ""]
    assert table["reason"].tolist()[-1] == "no class folder and no record says its class"


def test_dry_run_tells_of_each_source_without_the_network(tmp_path):
    where = {"a": {"where": {"family": "A"}}, "b": {"where": {"family": "B"}, "images": 1200}}
    query = {"a": {"query": {"family": "a"}}, "b": {"query": {"family": ["b", "c"]}}}
    sections = {
        "dwca": {"archives": ["here.zip", "https://portal.example.org/x.zip"], "classes": where},
        "idigbio": {"classes": query},
        "smithsonian": {"classes": where},
    }
    datasets = {
        name: {"title": name, "source": name, "network": "table1", name: section} for name, section in sections.items()
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"datasets": datasets}))
    result = sheetlens("fetch", "--dry-run", "--config", tmp_path / "config.yaml")
    assert result.returncode == 0, result.stderr
    for fact in (
        "pictures in here.zip, https://portal.example.org/x.zip of records with family A", "host portal.example.org",
        "specimens with family b or c", "host search.idigbio.org", "pictures of NMNHBOTANY, 1024 pixels", "1,200",
        "host ids.si.edu: at most 2 requests a second",
    ):  # fmt: skip
        assert fact in result.stdout
