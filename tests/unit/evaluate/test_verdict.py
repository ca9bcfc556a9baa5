"""The verdict follows the intervals, and is never given where nothing can be compared."""

import pytest

from sheetlens.config import Paper
from sheetlens.evaluate.evaluation import paper_values, wilson_interval
from sheetlens.evaluate.verdict import judge_reproduction

PAPER = paper_values(Paper(accuracy=0.90, kept_accuracy=0.94, test_sheets=1555), 0.1, 0.95)


def evaluation(accuracy: float, kept: float, **changes: object) -> dict:
    def measure(value: float, n: int) -> dict:
        low, high = wilson_interval(value, n, 0.95)
        return {"mean": value, "sd": 0.01, "low": low, "high": high}

    values = {"dataset": "mercury", "network": "table1", "protocol": "random", "paper": PAPER, "models": [{"n": 1555}]}
    return values | {"accuracy": measure(accuracy, 1555), "kept_accuracy": measure(kept, 1400)} | changes


@pytest.mark.parametrize(
    ("values", "source", "verdict", "reason"),
    [
        (evaluation(0.895, 0.945), "figshare", "reproduced", "every interval overlaps"),
        (evaluation(0.85, 0.945), "figshare", "not reproduced", "accuracy is below the paper's"),
        (evaluation(0.895, 0.98), "figshare", "not reproduced", "set aside is above the paper's"),
        (evaluation(0.85, 0.90), "figshare", "not reproduced", "and that of accuracy with the least sure"),
        (evaluation(0.895, 0.945), "gbif", "reproduced", "not on its own, which are not published"),
        (evaluation(0.895, 0.945, network="resnet50"), "figshare", "not comparable", "another network than 'resnet50'"),
        (evaluation(0.9, 0.94, models=[{"n": 1555}, {"n": 20}]), "figshare", "not comparable", "20 sheets were tested"),
        (evaluation(0.895, 0.945), "demo", "not comparable", "drawn by a program"),
        (evaluation(0.895, 0.945), "folder", "not comparable", "nothing shows"),
        (evaluation(0.895, 0.945, protocol="grouped"), "figshare", "not comparable", "protocol 'grouped'"),
        (evaluation(0.895, 0.945, paper=None), "gbif", "not comparable", "no numbers for these sheets"),
    ],
)
def test_the_verdict_and_its_reason(values, source, verdict, reason):
    judged = judge_reproduction(values, source)
    assert judged["verdict"] == verdict
    assert reason in judged["sentence"]


def test_touching_intervals_overlap():
    low = PAPER["accuracy_low"]
    values = evaluation(0.9, 0.94) | {"accuracy": {"mean": 0.8, "sd": None, "low": 0.7, "high": low}}
    assert judge_reproduction(values, "figshare")["verdict"] == "reproduced"
