"""What the reader of the tutorial on unlabelled photographs does by hand: `python tests/unlabelled.py STEP`.

`collect` draws sheets and lays them into photographs/ without their classes, with cabinets.csv; what they are goes
into truth.json. `label` labels them through the page's interface, as somebody who presses x for random sheets.
`look` looks at what came out.
"""

import csv
import json
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path

from sheetlens.common.files import read_table

SHEETS, CABINETS = 120, 6
ADDRESS = "http://127.0.0.1:8601"


def collect() -> None:
    """Stained sheets lie in the first cabinets, the others in the last."""
    settings = json.dumps({"task": "stain", "sheets": SHEETS, "seed": 9})
    command = [
        "sheetlens",
        "fetch",
        "demo",
        "--settings",
        settings,
        "--originals",
        "drawn",
        "--listing",
        "drawn.parquet",
    ]
    subprocess.run(command, check=True)
    Path("photographs").mkdir()
    truth, places = {}, []
    listing = read_table(Path("drawn.parquet")).to_dict("records")
    rows = [row for row in listing if row["path"].endswith((".jpg", ".png"))]
    rows.sort(key=lambda row: (row["label"] != "stained", row["image_id"]))
    for number, row in enumerate(rows):
        name = f"{number:04}-{Path(row['path']).name}"
        shutil.copy(row["path"], Path("photographs", name))
        truth[name] = row["label"]
        places.append((Path(name).stem, f"C{number * CABINETS // len(rows) + 1}"))
    with Path("cabinets.csv").open("w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows([("barcode", "cabinet"), *places])
    Path("truth.json").write_text(json.dumps(truth), encoding="utf-8")


def label() -> None:
    """Label every sheet, at random."""
    truth = json.loads(Path("truth.json").read_text(encoding="utf-8"))
    for _ in range(120):
        try:
            run = _ask("start.json")["run"]
            break
        except OSError:
            time.sleep(1)
    else:
        sys.exit("the page for labels does not open")
    labelled: set[str] = set()
    while True:  # files that are no photographs are not handed out; what was decided may come again
        sheets = _ask("next.json?reviewer=Ada&mode=random&count=20")
        if {sheet["image_id"] for sheet in sheets} <= labelled:
            break
        labelled.update(sheet["image_id"] for sheet in sheets)
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        made = {"run": run, "reviewer": "Ada", "decision": "class", "undoes": "", "time": now, "blind": True}
        entries = [
            made | {"id": uuid.uuid4().hex, "key": sheet["key"], "label": truth[sheet["image_id"]]} for sheet in sheets
        ]
        _ask("decisions", entries)


def look() -> None:
    """The cabinets with stained sheets stand above those without."""
    with Path("hotspots/plan.csv").open(newline="", encoding="utf-8") as table:
        plan = [row["group"] for row in csv.DictReader(table)]
    print("cabinets, most likely treated first:", *plan)
    if len(plan) != CABINETS or not {"C1", "C2"} < set(plan[:3]) or set(plan[-2:]) - {"C4", "C5", "C6"}:
        sys.exit("the cabinets are not ranked by their stained sheets")


def _ask(path: str, given: object = None):
    data = None if given is None else json.dumps(given).encode()
    headers = {"X-Sheetlens-Review": "1", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{ADDRESS}/{path}", data, headers)) as answer:
        return json.load(answer)


if __name__ == "__main__":
    {"collect": collect, "label": label, "look": look}[sys.argv[1]]()
