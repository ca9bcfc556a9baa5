"""Take the pictures of README: python docs/gallery.py RESULTS, the results of a finished demo.

Needs Chromium. docs/gallery/sources.json says what the pictures were taken of: a test compares it with the code, so
that a page that looks otherwise does not keep its old picture.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "docs/gallery"
PACKAGE = ROOT / "workflow/sheetlens"
SOURCES = {  # picture -> what the page's look comes from
    "report": ("pages/templates/base.html", "pages/templates/report.html", "figure/figure_2.py"),
    "review": ("review/review.html", "review/review.css", "review/review.js"),
    "hotspots": ("pages/templates/base.html", "pages/templates/hotspots.html", "figure/hotspots.py"),
    "evidence": ("explain/sheets.py",),
    "figure-1": ("figure/figure_1.py", "figure/style.py"),
    "figure-2": ("figure/figure_2.py", "figure/style.py"),
}
FIGURES = {"figure-1": ("figure-1-demo.jpg", 1200), "figure-2": ("figure-2-demo.png", 1100)}  # file, pixels across
WINDOW, SIZE = (1100, 1240), (440, 496)  # pixels of the page that are seen, and of the picture
SHEETS, SHOWN = 160, 2  # photographs that are read for the ranking; maps in the picture


def sources() -> dict[str, str]:
    """Hash of what each picture was taken of."""
    return {
        name: hashlib.sha256(b"".join((PACKAGE / file).read_bytes() for file in files)).hexdigest()
        for name, files in SOURCES.items()
    }


def take(name: str, page: Path) -> None:
    """Take a picture of the upper part of a page."""
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        size = ",".join(map(str, WINDOW))
        command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={size}"]
        command += [f"--screenshot={shot}", "--virtual-time-budget=5000", page.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        save(name, Image.open(shot))


def save(name: str, picture: Image.Image) -> None:
    """Write a picture of the gallery."""
    GALLERY.mkdir(exist_ok=True)
    picture.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS).save(
        GALLERY / f"{name}.jpg", quality=82, optimize=True
    )


def sheetlens(*words: object) -> None:
    """Run a command."""
    subprocess.run([sys.executable, "-m", "sheetlens", *map(str, words)], check=True)  # noqa: S603


def main(results: Path) -> None:
    """Make the pages that a demo lacks, and take the pictures."""
    model = results / "mercury/models/table1/random-1"
    manifest = pd.read_parquet(results / "mercury/manifest.parquet").query("status == 'ok'")
    manifest["path"] = [str(results.parent / path) for path in manifest["path"]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        some = manifest.sample(SHEETS, random_state=1)
        some.to_parquet(folder / "some.parquet")
        stained = some.query("label == 'stained'").head(SHOWN)
        stained.to_parquet(folder / "few.parquet")
        truth = str(results / "mercury/originals/truth.parquet")
        records = json.dumps({"path": truth, "barcode": "barcode", "columns": {"storageLocation": "cabinet"}})
        sheetlens("predict", model, folder / "some.parquet", "--output", folder / "answers")
        sheetlens(
            "hotspots", "--predictions", folder / "answers/predictions.parquet", "--model", model,
            "--records", records, "--output", folder / "hotspots",
        )  # fmt: skip
        sheetlens("review", results / "mercury", "--static", folder / "review")
        sheetlens("explain", model, folder / "few.parquet", "--output", folder / "maps")
        take("report", results / "report.html")
        take("review", folder / "review/index.html")
        take("hotspots", folder / "hotspots/hotspots.html")
        save("evidence", mosaic(sorted((folder / "maps/pictures").rglob("*.*"))[:SHOWN]))
    figures(results)
    (GALLERY / "sources.json").write_text(json.dumps(sources(), indent=2) + "\n", encoding="utf-8")


def figures(results: Path) -> None:
    """Write the paper's figures as README shows them."""
    for name, (file, width) in FIGURES.items():
        picture = Image.open(results / "figures" / f"{name}.png").convert("RGB")
        height = round(picture.height * width / picture.width)
        picture.resize((width, height), Image.Resampling.LANCZOS).save(ROOT / "docs" / file, quality=85, optimize=True)


def mosaic(paths: list[Path]) -> Image.Image:
    """Pictures of sheets with their maps, below one another."""
    height = SIZE[1] // len(paths)
    whole = Image.new("RGB", SIZE, "white")
    for number, path in enumerate(paths):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((SIZE[0] - 8, height - 8))
        whole.paste(picture, ((SIZE[0] - picture.width) // 2, number * height + (height - picture.height) // 2))
    return whole


if __name__ == "__main__":
    main(Path(sys.argv[1]))
