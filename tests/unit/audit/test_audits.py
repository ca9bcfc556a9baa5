"""Each audit finds what is planted and is silent where nothing is."""

import numpy as np
import pandas as pd
import pytest

from sheetlens.audit.baselines.features import neighbour_shares
from sheetlens.audit.baselines.models import BASELINES, measure_sheets, predict_baselines
from sheetlens.audit.duplicates import audit_duplicates
from sheetlens.audit.finding import Finding, read_finding
from sheetlens.audit.labels import audit_labels, rank_labels, surprises
from sheetlens.audit.leakage import audit_leakage
from sheetlens.audit.setup import audit_setup
from sheetlens.audit.shortcuts import audit_shortcuts
from sheetlens.audit.training import audit_training
from sheetlens.common.files import read_table
from sheetlens.common.tables import plain_cell
from sheetlens.config import Audit
from sheetlens.split.parts import split_random
from sheetlens.statistics.calibration import scale
from sheetlens.statistics.significance import area, combine_p, held_out, holm, paired_gain, permutation_p
from tests.conftest import sheetlens

SETTINGS = Audit()


def test_a_finding_comes_back_as_it_was(tmp_path):
    finding = Finding("x", "note", "One thing.", "Do it.", {"a": 1.5, "b": [1, 2]}, ["results/a.csv"])
    finding.write(tmp_path / "x.json")
    assert read_finding(tmp_path / "x.json") == finding


# The permutation test


def test_the_permutation_test_is_calibrated_and_has_power():
    rng = np.random.default_rng(3)
    clean, planted = [], []
    for seed in range(100):
        truth = rng.permutation(np.repeat([0, 1], 20))
        scores = rng.random(40)
        clean.append(permutation_p(np.stack([1 - scores, scores], axis=1), truth, seed))
        if seed < 20:
            telling = np.clip(0.5 + 0.5 * (truth - 0.5) + 0.2 * rng.standard_normal(40), 0, 1)
            planted.append(permutation_p(np.stack([1 - telling, telling], axis=1), truth, seed))
    clean = np.array(clean)
    for level in (0.01, 0.05, 0.2):  # at most the level, up to three standard errors
        assert (clean <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / 100)
    assert max(planted) < 0.01


def test_the_permutation_test_is_exact_on_a_case_that_can_be_counted():
    """Three sheets of each class, told apart without fault: 1 of 20 orders does as well."""
    truth = np.array([0, 0, 0, 1, 1, 1])
    probabilities = np.stack([1 - truth, truth], axis=1) * 0.8 + 0.1
    assert permutation_p(probabilities, truth) == pytest.approx(1 / 20, abs=0.008)
    assert permutation_p(np.full((6, 2), 0.5), truth) == 1


def test_several_p():
    assert combine_p([0.03]) == 0.03
    assert combine_p([0.01, 0.02, 0.9]) == 0.04
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_area_is_that_of_the_ranks():
    truth = np.array([0, 0, 1, 1, 1])
    score = np.array([0.1, 0.6, 0.4, 0.7, 0.9])
    assert area(np.stack([1 - score, score], axis=1), truth) == pytest.approx(5 / 6)
    assert area(np.full((2, 2), 0.5), np.array([1, 1])) == 0.5


def test_gatherings_seen_in_training_are_no_evidence_and_others_count_once():
    table = pd.DataFrame(
        {
            "image_id": list("abcdef"),
            "group": ["1", "1", "2", "2", "e", "f"],
            "part": ["train", "test", "test", "validation", "test", "test"],
        }
    )
    assert held_out(table)["group"].tolist() == ["2", "e", "f"]


def test_gain_draws_sheets_and_not_tests():
    """A sheet tested ten times is still one sheet: the interval stays as wide."""
    once = pd.DataFrame({"group": [f"{n:03d}" for n in range(50)], "gain": [1.0] * 10 + [0.0] * 40})
    often = pd.concat([once] * 10, ignore_index=True)
    assert paired_gain(once, 0.95) == pytest.approx(paired_gain(often, 0.95))
    assert paired_gain(once, 0.95)["gain"] == 0.2
    assert 0.05 < paired_gain(once, 0.95)["low"] < 0.12


# Baselines and the imaging set-up


def photographs(count: int, seed: int, tell: str = "") -> tuple[pd.DataFrame, np.ndarray]:
    """Sheets whose class shows nowhere, except in what `tell` names."""
    rng = np.random.default_rng(seed)
    label = np.array(["alpha", "beta"])[np.arange(count) % 2]
    beta = label == "beta"
    sheets = pd.DataFrame(
        {
            "image_id": [f"{number:04d}.jpg" for number in range(count)],
            "specimen_id": [f"{number:06d}" for number in rng.permutation(count)],
            "group": [f"{number:04d}.jpg" for number in range(count)],
            "label": label,
            "width": rng.integers(900, 1000, count),
            "height": rng.integers(1300, 1500, count),
            "bytes": rng.integers(200_000, 400_000, count),
            "format": "JPEG",
            "recordedBy": rng.choice(["A. Reed", "B. Moss", "C. Fern"], count),
            "eventDate": [f"{year}-05-01" for year in rng.integers(1850, 1950, count)],
        }
    )
    pixels = rng.integers(90, 160, (count, 3, 256, 256), dtype=np.uint8)
    if tell == "width":
        sheets["width"] += np.where(beta, 80, 0)
    if tell == "border":
        pixels[beta, :, :3] += 60
    if tell == "plant":
        pixels[beta, :, 100:150, 100:150] += 60
    if tell == "collector":
        sheets["recordedBy"] = np.where(beta, "A. Reed", "B. Moss")
    if tell == "neighbours":
        sheets["specimen_id"] = [f"{number:06d}" for number in np.argsort(np.argsort(beta, kind="stable"))]
    return sheets, pixels


def baselines(sheets: pd.DataFrame, pixels: np.ndarray, seeds: tuple[int, ...] = (1,)) -> dict[str, pd.DataFrame]:
    tables, features = {}, measure_sheets(sheets, pixels)
    for seed in seeds:
        split = split_random(sheets, (0.6, 0.2, 0.2), seed)
        tables[f"random-{seed}"] = predict_baselines(sheets, features, split)
    return tables


@pytest.mark.parametrize(
    ("tell", "seen_by", "severity"),
    [
        ("", set(), "ok"),
        ("width", {"imaging set-up", "metadata"}, "alarm"),
        ("border", {"border strip", "colour histogram"}, "alarm"),
        ("plant", {"colour histogram"}, "ok"),
        ("collector", {"collector and year", "metadata"}, "ok"),
        ("neighbours", {"collector and year", "metadata"}, "ok"),
    ],
)
def test_a_baseline_sees_its_own_shortcut_and_no_other(tell, seen_by, severity):
    tables = baselines(*photographs(120, 2, tell))
    finding = audit_setup(tables, SETTINGS)
    assert finding.severity == severity
    networks = {name: table[table["baseline"] == "majority"] for name, table in tables.items()}
    numbers = audit_shortcuts(tables, networks, 0.95, SETTINGS).numbers["baselines"]
    assert set(numbers) == set(BASELINES)
    assert {name for name, row in numbers.items() if row["p_adjusted"] < SETTINGS.level} == seen_by


def test_the_setup_audit_is_silent_on_clean_sheets():
    """At the 1 % level one in a hundred may sound by chance; none does among these."""
    for seed in range(5):
        sheets, pixels = photographs(60, 100 + seed)
        assert audit_setup(baselines(sheets, pixels[:, :, ::1], (1, 2)), SETTINGS).severity != "alarm"


def network_like(tables: dict[str, pd.DataFrame], accuracy: float) -> dict[str, pd.DataFrame]:
    """Predictions of a network that is right for a share of the sheets."""
    rng = np.random.default_rng(5)
    networks = {}
    for name, table in tables.items():
        sheets = table[table["baseline"] == "majority"].drop(columns="baseline")
        right = rng.random(len(sheets)) < accuracy
        alpha = (sheets["label"] == "alpha") == right
        networks[name] = sheets.assign(probability_alpha=np.where(alpha, 0.9, 0.1)).assign(
            probability_beta=lambda new: 1 - new["probability_alpha"]
        )
    return networks


def test_a_baseline_as_good_as_the_network_is_an_alarm_and_a_weaker_one_is_none():
    tables = baselines(*photographs(120, 2, "collector"), (1, 2))
    assert audit_shortcuts(tables, network_like(tables, 0.95), 0.95, SETTINGS).severity == "alarm"
    silent = baselines(*photographs(120, 2), (1, 2))
    finding = audit_shortcuts(silent, network_like(silent, 0.95), 0.95, SETTINGS)
    assert (finding.severity, finding.advice) == ("ok", "Nothing to do.")
    assert finding.numbers["baselines"]["majority"]["low"] > 0.25
    few = {name: table[table["image_id"].isin(table["image_id"].unique()[:20])] for name, table in silent.items()}
    finding = audit_shortcuts(few, network_like(few, 0.95), 0.95, SETTINGS)
    assert finding.severity == "ok" and finding.advice.startswith("Nor is the network shown to be better than the best")
    # A baseline above chance that the network clearly beats is worth a note.
    sheets, pixels = photographs(120, 2, "collector")
    spoilt = np.random.default_rng(1).random(120) < 0.45
    sheets.loc[spoilt, "recordedBy"] = "C. Fern"
    weak = baselines(sheets, pixels, (1, 2))
    assert audit_shortcuts(weak, network_like(weak, 1.0), 0.95, SETTINGS).severity == "note"


def test_neighbours_are_training_sheets_of_the_same_herbarium():
    specimens = pd.Series(["US01", "US02", "US03", "US90", "NY02", "sheet"])
    labels = pd.Series(["a", "b", "a", "b", "b", "a"])
    train = np.array([True, True, False, True, True, True])
    shares = neighbour_shares(specimens, labels, train, nearest=2)
    assert shares["neighbours a"].tolist()[:4] == [0.0, 0.5, 0.5, 0.5]  # never their own label
    assert shares.iloc[4:].isna().all(axis=None)  # alone in its herbarium; no number


def test_a_class_at_the_beginning_of_a_file_name_is_no_herbarium():
    specimens = pd.Series(["piper_US000101__1", "other_US000102__2", "piper_US000103__3", "other_US000104__4"])
    labels = pd.Series(["piper", "other", "piper", "other"])
    shares = neighbour_shares(specimens, labels, np.ones(4, bool), nearest=2)
    assert shares["neighbours piper"].tolist() == [0.5, 1.0, 0.0, 0.5]


# Labels


def read_sheets(count: int, wrong: int, seeds: int = 4) -> tuple[list[pd.DataFrame], set[str]]:
    """Calibrated predictions of several models, some labels turned over."""
    rng = np.random.default_rng(11)
    alpha = rng.beta(0.25, 0.25, count)
    label = np.where(rng.random(count) < alpha, "alpha", "beta")
    right = (label == "alpha") == (alpha > 0.5)
    sure = rng.permutation(np.flatnonzero(right & (np.abs(alpha - 0.5) > 0.45)))[:wrong]
    label[sure] = np.where(label[sure] == "alpha", "beta", "alpha")
    names = np.array([f"{number:04d}" for number in range(count)])
    tables = []
    for _ in range(seeds):
        part = rng.choice(["train", "validation", "test"], count, p=[0.5, 0.3, 0.2])
        columns = {"image_id": names, "part": part, "label": label}
        tables.append(pd.DataFrame(columns).assign(probability_alpha=alpha, probability_beta=1 - alpha))
    return tables, set(names[sure])


def test_wrong_labels_come_first_and_raise_a_note():
    tables, wrong = read_sheets(1000, 40)
    ranked = rank_labels(tables)
    judged = wrong & set(ranked["image_id"])
    assert len(judged) >= 30
    assert ranked[ranked["image_id"].isin(judged)]["rank"].max() <= 0.06 * len(ranked)
    finding = audit_labels(ranked, surprises(tables, SETTINGS.level), 1000, SETTINGS.level)
    assert finding.severity == "note"
    assert finding.numbers["judged"] == len(ranked) < 1000
    assert f"{1000 - len(ranked)} sheets stood in training" in finding.sentence


def test_doubt_without_wrong_labels_is_silent_and_says_what_it_would_have_noticed():
    tables, _ = read_sheets(1000, 0)
    finding = audit_labels(rank_labels(tables), surprises(tables, SETTINGS.level), 1000, SETTINGS.level)
    assert finding.severity == "ok"
    assert (
        "Not proof" in finding.advice and "10 % wrong labels would have been noticed 10 times in ten" in finding.advice
    )
    few, _ = read_sheets(60, 0)
    finding = audit_labels(rank_labels(few), surprises(few, SETTINGS.level), 60, SETTINGS.level)
    assert finding.numbers["noticed"]["0.01"] < 0.5


def test_one_odd_gathering_is_one_surprise():
    tables, wrong = read_sheets(1000, 40)
    together = [
        table.assign(group=np.where(table["image_id"].isin(wrong), "odd", table["image_id"])) for table in tables
    ]
    assert surprises(tables, 0.01).found > 15 and surprises(together, 0.01).found <= 2


def test_a_network_too_sure_of_itself_finds_no_wrong_labels():
    tables, _ = read_sheets(1000, 0)
    columns = ["probability_alpha", "probability_beta"]
    for table in tables:
        table[columns] = scale(table[columns].to_numpy(), 0.5)
    assert audit_labels(rank_labels(tables), surprises(tables, SETTINGS.level), 1000, SETTINGS.level).severity == "ok"


def test_a_sheet_is_judged_only_by_models_that_never_saw_it():
    tables, _ = read_sheets(200, 0)
    spoilt = [table.copy() for table in tables]
    for table in spoilt:
        table.loc[table["part"] == "train", ["probability_alpha", "probability_beta"]] = [0.0, 1.0]
    pd.testing.assert_frame_equal(rank_labels(tables), rank_labels(spoilt))
    assert surprises(tables, 0.01) == surprises(spoilt, 0.01)


def test_the_order_of_the_sheets_does_not_matter():
    tables, _ = read_sheets(200, 3)
    turned = [table.iloc[::-1].reset_index(drop=True) for table in tables]
    pd.testing.assert_frame_equal(rank_labels(tables), rank_labels(turned))


def test_the_list_of_labels_holds_no_formula(tmp_path):
    tables, _ = read_sheets(200, 3, seeds=1)
    tables[0]["image_id"] = "=" + tables[0]["image_id"]
    tables[0].to_parquet(tmp_path / "predictions.parquet")
    settings = SETTINGS.model_dump_json(include={"level"})
    result = sheetlens(
        "audit", "find", "labels", "--settings", settings, "--output", "labels.json",
        "--input", "predictions", "predictions.parquet", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    listed = read_table(tmp_path / "labels.csv")
    assert listed["image_id"].str.startswith("'=").all()
    assert set(listed["image_id"].map(plain_cell)) <= set(tables[0]["image_id"])
    result = sheetlens(
        "audit", "find", "labels", "--output", "labels.json", "--input", "evaluation", "labels.json", cwd=tmp_path
    )
    assert result.returncode == 1
    assert "this audit reads 'predictions': name its files with --input predictions FILE" in result.stderr


# Training


def study(correct: int, loss: list[float], confusion: list[list[int]] | None = None) -> tuple[dict, dict]:
    from sheetlens.evaluate.evaluation import wilson_interval

    low, high = wilson_interval(correct / 100, 100, 0.95)
    table = confusion or [[correct // 2, 50 - correct // 2], [50 - correct // 2, correct // 2]]
    model = {"seed": 1, "accuracy": correct / 100, "low": low, "high": high, "majority": 0.5, "confusion": table}
    history = pd.DataFrame({"train_loss": loss, "validation_loss": loss, "epoch": range(1, len(loss) + 1)})
    return {"models": [model]}, {1: history}


@pytest.mark.parametrize(
    ("evaluation", "severity", "word"),
    [
        (study(90, [0.7, 0.4, 0.3, 0.28, 0.28]), "ok", "finished"),
        (study(54, [0.7, 0.69, 0.69, 0.69]), "alarm", "commonest class"),
        (study(70, [0.7, 0.4, 0.3], [[0, 50], [0, 50]]), "alarm", "commonest class"),
        (study(90, [0.7, 0.4, np.nan]), "alarm", "infinite or no number"),
        (study(90, [0.7, 0.5, 0.3]), "note", "still falling"),
        (study(90, [0.7, 0.3, 0.4]), "ok", "finished"),
    ],
)
def test_trainings_that_failed_are_named(evaluation, severity, word):
    finding = audit_training(*evaluation, {})
    assert finding.severity == severity
    assert word in finding.sentence


def test_each_seed_is_held_against_its_own_test_part():
    """With a source held out, the seeds are tested on other sheets."""
    (evaluation, histories), (other, more) = study(88, [0.7, 0.3, 0.4]), study(90, [0.7, 0.3, 0.4])
    evaluation["models"] += [model | {"seed": 2, "majority": 0.9} for model in other["models"]]
    finding = audit_training(evaluation, histories | {2: more[1]}, {})
    assert [finding.numbers["seeds"][seed]["collapsed"] for seed in ("1", "2")] == [False, True]
    assert "seed 2 cannot be told from always naming the commonest class (90.0 % right)" in finding.sentence


def test_a_training_begun_again_is_no_secret():
    attempts = [{"seed": 1, "epoch": 4, "reason": "all validation sheets got the same answer"}]
    finding = audit_training(*study(90, [0.7, 0.4, 0.3, 0.28, 0.28]), {1: attempts})
    assert (finding.severity, finding.numbers["seeds"]["1"]["restarts"]) == ("note", attempts)
    assert "begun again from another seed with seed 1" in finding.sentence and "given up: 1" in finding.advice
    assert audit_training(*study(54, [0.7, 0.69, 0.69, 0.69]), {1: attempts}).severity == "alarm"


# Duplicates and leakage


def test_twins_under_two_classes_are_an_alarm_and_others_a_note():
    columns = ["first", "second", "kind", "labels_differ"]
    pairs = pd.DataFrame([("a", "b", "exact file", False), ("c", "d", "near", True)], columns=columns)
    assert audit_duplicates(pairs, 9).severity == "alarm"
    assert audit_duplicates(pairs, 9).numbers["contrary"] == [["c", "d"]]
    assert audit_duplicates(pairs.head(1), 9).severity == "note"
    assert audit_duplicates(pairs.head(0), 9).severity == "ok"


def leakage(share, known=1.0):
    relation = {"test_sheets": round(100 * share), "known": 1.0}
    return {"any": {"test_share": share}, "relations": {"specimen": relation, "event": relation | {"known": known}}}


@pytest.mark.parametrize(("known", "severity"), [(1.0, "ok"), (0.9, "ok"), (0.0, "note")])
def test_unknown_relatives_are_not_taken_for_none(known, severity):
    finding = audit_leakage({"random-1": leakage(0.0, known)}, "random")
    assert finding.severity == severity
    assert (f"known of {100 * known:.0f} % of the sheets" in finding.sentence) == (known < 1)


@pytest.mark.parametrize(
    ("share", "protocol", "severity"),
    [(0.0, "random", "ok"), (0.1, "random", "note"), (0.1, "grouped", "alarm"), (0.0, "grouped", "ok")],
)
def test_leakage_is_known_of_a_random_split_and_a_fault_of_a_grouped_one(share, protocol, severity):
    clean, leaky = leakage(0.0), leakage(share)
    finding = audit_leakage({f"{protocol}-1": clean, f"{protocol}-2": leaky}, protocol)
    assert finding.severity == severity
