"""The report says what the files say, to a person, and nothing in it runs or is fetched."""

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from sheetlens.audit.finding import Finding
from sheetlens.evaluate.results import read_outcome
from sheetlens.figure.figure_1 import draw_sheets
from sheetlens.pages.render import PAGES, interval, percent, probability
from sheetlens.report.report import REFUSED, write_report
from sheetlens.report.result import were_new
from tests.unit.finished_study import MadeUp, make_study

DASH = "\N{EN DASH}"
HOSTILE = MadeUp(
    "own",
    'Mine & <img src=x onerror="alert(1)">',
    ("<script>alert(1)</script>", "beta", "gamma"),
    paper=None,
    name="a/<script>alert({number})</script>\N{RIGHT-TO-LEFT OVERRIDE}.jpg",
)
LYCOPHYTES = MadeUp("lycophytes", "Clubmoss or spikemoss", ("clubmoss", "spikemoss"), network="table2", sureness=3)

FIGURES = ("figure-1", "figure-2", "figure-history", "figure-risk", "figure-reliability", "figure-seeds")


def put_figures(root: Path, evaluations: list[Path]) -> None:
    """Put small files in the place of the figures, with a real table of Figure 1."""
    folders = [root / "results", *(path.parent.parent for path in evaluations)]
    for folder, name in itertools.product(folders, FIGURES):
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures" / f"{name}.svg").write_text("<svg/>")
        (folder / "figures" / f"{name}.png").write_bytes(b"not as small")
    _, table = draw_sheets(evaluations, root / "results")
    table.to_csv(root / "results" / "figures" / "figure-1.csv", index=False)


def make_report(root: Path, evaluations: list[Path], study: str) -> str:
    output = root / "results" / "report.html"
    write_report(evaluations, output, study, root / "results")
    return output.read_text(encoding="utf-8")


def words(page: str) -> str:
    """The text of the page as a person reads it."""

    class Reader(HTMLParser):
        text = ""

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.text += " " * (tag in {"td", "th", "p", "br", "bdi"})

        def handle_data(self, data: str) -> None:
            self.text += data

    reader = Reader()
    reader.feed(page[page.index("<body") :])
    return re.sub(r"\s+", " ", reader.text)


class Tags(HTMLParser):
    """Collects tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    root = tmp_path_factory.mktemp("project")
    evaluations = [make_study(root, MadeUp()), make_study(root, LYCOPHYTES)]
    put_figures(root, evaluations)
    return root, evaluations


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    root = tmp_path_factory.mktemp("project")
    evaluations = [make_study(root, HOSTILE)]
    put_figures(root, evaluations)
    found = {"candidates": 7, "left_out": {"that are thumbnails": 3, "under <b>all mine</b>": 12}}
    (evaluations[0].parent.parent / "citation.json").write_text(json.dumps({"classes": {"beta": found}}))
    return root, evaluations


def test_what_a_search_left_out_is_said_as_the_fetch_says_it(hostile, study):
    sentence = (
        "Class 'beta': 7 pictures could be asked for. Left out before: 12 under <b>all mine</b>; 3 that are thumbnails."
    )
    assert sentence in words(make_report(*hostile, "own"))
    assert "Left out before" not in words(make_report(*study, "paper"))


def test_numbers_are_those_of_the_evaluation(study):
    page = words(make_report(*study, "paper"))
    for path in study[1]:
        evaluation = json.loads(path.read_text())
        accuracy, kept = evaluation["accuracy"], evaluation["kept_accuracy"]
        low, high = (f"{100 * accuracy[end]:.1f}" for end in ("low", "high"))
        assert f"{100 * accuracy['mean']:.1f} % accuracy on test sheets, 95 % interval {low}{DASH}{high} %" in page
        assert f"And with the 10 % least confident set aside?Accuracy {100 * kept['mean']:.1f} %." in page
        for value in (accuracy, kept):
            assert f"{100 * value['mean']:.1f} %" in page
            assert f"{100 * value['low']:.1f}{DASH}{100 * value['high']:.1f} %" in page
            assert f"± {100 * value['sd']:.1f} points" in page
        for model in evaluation["models"]:
            assert f"{model['correct']} / {model['n']}" in page
    missed = json.loads(study[1][0].read_text())["confusion"][0]
    assert f"{missed[1]} of {sum(missed)} tests of a stained sheet" in page
    assert f"88.4{DASH}91.4 %" in page
    assert "82 80 2" in page  # found, used, refused


def test_refused_files_are_listed_with_their_reason(study):
    page = make_report(*study, "paper")
    assert "too small: 30x40" in page
    assert "text.jpg" in words(page)
    refused = page[page.index('<table class="refused">') :].split("</table>")[0]
    assert refused.count("<img") == 1  # the one that opens


def test_many_refused_files_are_counted(tmp_path):
    evaluation = make_study(tmp_path, MadeUp())
    path = tmp_path / "results/mercury/manifest.parquet"
    manifest = pd.read_parquet(path)
    bad = manifest[manifest["status"] == "refused"].head(1)
    more = [bad.assign(image_id=f"bad {number:02d}", label="") for number in range(30)]
    pd.concat([manifest, *more]).to_parquet(path)
    put_figures(tmp_path, [evaluation])
    page = words(make_report(tmp_path, [evaluation], "own"))
    listed = page[page.index("why it was refused") :]
    assert listed.count("no image") + listed.count("too small: 30x40") == REFUSED
    assert f"and {32 - REFUSED} more" in page
    assert "no class 30 0 30" in page


def test_credits_are_told_with_what_nobody_asserted(study):
    root, _ = study
    path = root / "results/mercury/manifest.parquet"
    manifest = pd.read_parquet(path)
    manifest.loc[:9, ["licence", "licence_asserted"]] = ["CC BY-NC-SA", False]
    manifest.to_parquet(path)
    page = words(make_report(*study, "paper"))
    assert "CC BY-NC-SA (not asserted) Herbarium of the tests 10" in page
    assert "For 10 of 80 sheets no licence is asserted" in page
    assert "results/mercury/credits.csv" in page


def test_classes_that_came_by_different_routes_get_a_warning(study):
    root, _ = study
    path = root / "results/mercury/manifest.parquet"
    manifest = pd.read_parquet(path)
    warning = "The classes did not all come by the same route"
    manifest.assign(route="ids.si.edu iiif 1024").to_parquet(path)
    assert warning not in make_report(*study, "paper")
    manifest.assign(route="from " + manifest["label"]).to_parquet(path)
    page = make_report(*study, "paper")
    assert warning in page
    assert "from unstained 0.0 % 100.0 %" in words(page)


def test_hostile_names_are_shown_and_do_nothing(hostile):
    page = make_report(*hostile, "own")
    tags = Tags()
    tags.feed(page)
    assert "script" not in {tag for tag, _ in tags.tags}
    assert not [name for _, attributes in tags.tags for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in words(page)
    assert 'Mine & <img src=x onerror="alert(1)">' in words(page)


def test_page_is_complete_in_itself(study):
    page = make_report(*study, "demo")
    tags = Tags()
    tags.feed(page)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}) in tags.tags
    for tag, attributes in tags.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "form"}
        assert attributes.get("src", "data:image/").startswith("data:image/")
        href = attributes.get("href", "#")
        assert href.startswith("#") or re.fullmatch(r"\w+/(credits\.csv|[a-z-]+\.html)|ro-crate-metadata\.json", href)
        if tag == "img":
            assert "alt" in attributes
    anchors = {attributes["href"][1:] for tag, attributes in tags.tags if tag == "a" and attributes["href"][0] == "#"}
    assert anchors <= {attributes.get("id") for _, attributes in tags.tags}
    assert len(page) < 6_000_000


def test_same_inputs_same_bytes_and_no_trace_of_the_machine(study):
    root, _ = study
    page = make_report(*study, "paper")
    assert page == make_report(*study, "paper")
    assert str(root) not in page
    assert not re.search(r"\b20[2-9]\d-\d\d-\d\d", words(page))


def test_each_study_is_told_for_what_it_is(study, hostile):
    demo, paper, own = (
        words(make_report(*made, name)) for made, name in ((study, "demo"), (study, "paper"), (hostile, "own"))
    )
    assert "drawn by a program" in demo
    assert "Do not compare the paper's column" in demo
    assert "drawn by a program" not in paper + own
    verdict = json.loads((study[0] / "results/mercury/verdict.json").read_text())["sentence"]
    assert verdict in paper and "Too few sheets to tell" in verdict
    assert "Too few sheets to tell" not in demo and "agrees with it" not in paper + demo + own
    assert "never “safe”" in demo
    assert "never “safe”" in paper
    assert "never “safe”" not in own


def test_the_answer_stands_first_with_what_the_audits_found(study):
    folder = study[0] / "results/mercury/audits"
    folder.mkdir(exist_ok=True)
    for name, severity in (("setup", "alarm"), ("labels", "note"), ("regions", "ok")):
        Finding(name, severity, f"What {name} found.", "Do it.", {}).write(folder / f"{name}.json", [])
    page = words(make_report(*study, "paper"))
    head = page[: page.index("Figure 2")]
    assert "Do the audits raise an alarm?One alarm: What setup found. 1 note in 3 audits." in head
    assert "Were the test sheets new?Split at random" in head
    assert "Can an error rate be guaranteed?" in head and "Is the paper reproduced?" in head
    assert head.index("Result") < head.index("accuracy on test sheets")
    assert len(head.split()) < 400, "the answer is read in a minute"
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize("protocol", ["grouped", "held_out_source"])
@pytest.mark.parametrize("known", [1.0, 0.4, 0.0])
def test_relatives_that_no_record_tells_of_are_not_taken_for_none(tmp_path, protocol, known):
    outcome = read_outcome(make_study(tmp_path, MadeUp()), tmp_path / "results")
    splits = outcome.folder / "splits"
    report = json.loads((splits / "random-1.leakage.json").read_text())
    for name in ("specimen", "event"):
        report["relations"][name]["known"] = 1.0 if name == "specimen" else known
    (splits / f"{protocol}-1.leakage.json").write_text(json.dumps(report))
    outcome.evaluation.update(protocol=protocol, seeds=[1])
    said = were_new(outcome)
    assert said.startswith("Yes") == (known == 1)
    told = f"day, are known of {100 * known:.0f} % of the sheets: relatives among the others cannot be found."
    assert (told in said) == (known < 1) and "Barcodes" not in said


def test_a_guarantee_is_that_of_the_model_that_reads_collections(tmp_path):
    """Of three seeds, some give one by chance: what the first one's model cannot promise is not said of it."""
    evaluation = make_study(tmp_path, MadeUp())
    values = json.loads(evaluation.read_text())
    row = next(row for row in values["selective"]["at_risk"] if row["risk"] == 0.05)
    row["guaranteed"] = {
        "threshold": [None, 1.0, None], "coverage": {"mean": 0.2, "seeds": [0.0, 0.6, 0.0]},
        "error": {"mean": 0.1, "low": 0.02, "high": 0.3, "seeds": [None, 0.1, None]},
    }  # fmt: skip
    values["selective"]["at_risk"] = [row]
    evaluation.write_text(json.dumps(values))
    put_figures(tmp_path, [evaluation])
    page = words(make_report(tmp_path, [evaluation], "own"))
    assert "Can an error rate be guaranteed?No:" in page
    assert "1 of 3 seeds" in page
    row["guaranteed"] |= {"threshold": [1.0, None, None], "coverage": {"mean": 0.2, "seeds": [0.6, 0.0, 0.0]}}
    evaluation.write_text(json.dumps(values))
    assert "Yes, an error rate of at most 5 %" in (page := words(make_report(tmp_path, [evaluation], "own")))
    assert "then classifies 60 % of the sheets" in page


def test_every_page_of_a_study_is_reached_from_the_report(study):
    page = make_report(*study, "paper")
    bar = page[page.index('class="pages"') : page.index("</nav>")]
    for dataset, file in itertools.product(("mercury", "lycophytes"), PAGES):
        assert f'href="{dataset}/{file}.html"' in bar
    assert 'aria-current="page"' in bar


def test_a_run_that_did_not_learn_is_named(tmp_path):
    evaluation = make_study(tmp_path, MadeUp(sureness=0))
    put_figures(tmp_path, [evaluation])
    page = words(make_report(tmp_path, [evaluation], "own"))
    assert "The model with seed 1 is not shown to be better than always predicting the commonest class" in page
    assert "no training failed" not in page


def test_undefined_values_and_a_single_seed(tmp_path):
    evaluation = make_study(tmp_path, MadeUp(seeds=(4,)))
    values = json.loads(evaluation.read_text())
    values["aside_error"] = {"mean": None, "sd": None, "low": None, "high": None}
    values["kept_accuracy"] = None
    values["accuracy"]["sd"] = None
    evaluation.write_text(json.dumps(values))
    put_figures(tmp_path, [evaluation])
    page = words(make_report(tmp_path, [evaluation], "own"))
    assert "None" not in page
    assert "nan" not in page.replace("unsure", "")
    assert "set aside?" not in page


def test_surest_mistake_stands_first(study):
    root, _ = study
    tables = [
        pd.read_parquet(root / f"results/mercury/models/table1/random-{seed}/predictions.parquet") for seed in (1, 2, 3)
    ]
    tested = pd.concat(tables).query("part == 'test'").groupby(["image_id", "label"]).mean(numeric_only=True)
    tested = tested.reset_index()
    wrong = tested["probability_stained"].where(tested["label"] == "unstained", tested["probability_unstained"])
    worst = tested.loc[wrong.idxmax(), "image_id"]
    page = words(make_report(*study, "paper"))
    gallery = page[page.index("Most confident mistakes") : page.index("Least confident")]
    assert gallery.index(worst) == min(gallery.index(name) for name in re.findall(r"sheet \d{4}\.jpg", gallery))


def test_numbers_are_written_for_people():
    space = "\N{NO-BREAK SPACE}"
    assert percent(0.9274) == f"92.7{space}%"
    assert percent(None) == percent(float("nan")) == DASH
    assert interval(0.884, 0.914) == f"88.4{DASH}91.4{space}%"
    assert interval(None, 0.9) is None
    assert probability(0.99999) == f"over{space}0.999"
    assert probability(0.5) == "0.500"
