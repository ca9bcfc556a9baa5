"""The rules that fetch, with the stand-ins in place of the services."""

import pytest
import yaml

from sheetlens.common.files import read_table
from tests.conftest import ROOT, snakemake
from tests.services.plain import picture


@pytest.mark.long
def test_files_outlive_a_second_run_of_the_rule(tmp_path, services):
    lines = ["url,label,image_id"]
    lines += [
        f"{services.url(f'/images/{label}{number}.jpg')},{label},{label}/{number}.jpg"
        for label in ("fern", "moss") for number in range(4)
    ]  # fmt: skip
    (tmp_path / "table.csv").write_text("\n".join(lines))
    values = yaml.safe_load((ROOT / "config/own.yaml").read_text())
    values["datasets"]["own"] |= {"source": "urls", "urls": {"table": str(tmp_path / "table.csv")}}
    values["fetch"] = services.settings(contact="tests+{brace}'quote@example.org").model_dump(mode="json")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    config = ("--configfile", tmp_path / "config.yaml", "--cores", 1)
    products = [f"results/own/{name}" for name in ("listing.parquet", "originals/SHA256SUMS")]

    def run(*arguments):
        result = snakemake(tmp_path / "work", *config, *products, *arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    work = tmp_path / "work/results/own"
    run()
    listing = read_table(work / "listing.parquet")
    assert listing["status"].tolist() == ["ok"] * 8
    assert (work / "originals/fern/0.jpg").read_bytes() == picture("fern0.jpg")
    agents = services.counters()["hosts"]["127.0.0.1"]["agents"]
    assert list(agents) == ["sheetlens/0.1.0 (tests+{brace}'quote@example.org)"]
    assert "Nothing to be done" in run("--config", 'fetch={"pause": 1}'), "how servers are asked is no result"
    (work / "listing.parquet").unlink()
    (work / "originals/moss/3.jpg").unlink()
    run()
    assert services.counters()["requests"] == {
        f"/images/{label}{number}.jpg": 1 + (label + str(number) == "moss3")
        for label in ("fern", "moss") for number in range(4)
    }  # fmt: skip
