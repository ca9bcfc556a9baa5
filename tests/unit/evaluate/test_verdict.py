"""The verdict follows the intervals, and is never given where nothing can be compared."""

import pytest

from sheetlens.config import Paper
from sheetlens.evaluate.evaluation import paper_values, wilson_interval
from sheetlens.evaluate.verdict import judge_reproduction

PAPER = paper_values(Paper(accuracy=0.90, kept_accuracy=0.94, test_sheets=1555), 0.1, 0.95)


def evaluation(accuracy: float, kept: float, n: int = 1555, **changes: object) -> dict:
    def measure(value: float, n: int) -> dict:
        low, high = wilson_interval(value, n, 0.95)
        return {"mean": value, "sd": 0.01, "low": low, "high": high, "effective": n, "freedom": 10**9}

    values = {"dataset": "mercury", "network": "table1", "protocol": "random", "paper": PAPER, "margin": 0.02}
    return values | {"accuracy": measure(accuracy, n), "kept_accuracy": measure(kept, round(0.9 * n))} | changes


@pytest.mark.parametrize(
    ("values", "source", "verdict", "reason"),
    [
        (evaluation(0.895, 0.945), "figshare", "reproduced", "every interval lies within 2 points"),
        (
            evaluation(0.85, 0.945),
            "figshare",
            "not reproduced",
            "accuracy is below the paper's by more than the margin",
        ),
        (evaluation(0.895, 0.98), "figshare", "not reproduced", "set aside is above the paper's"),
        (evaluation(0.85, 0.90), "figshare", "not reproduced", "least confident set aside is below"),
        (evaluation(0.88, 0.945), "figshare", "too few sheets to tell", "accuracy reaches beyond 2 points"),
        (evaluation(0.9, 0.94, n=9), "figshare", "too few sheets to tell", "worth 8 independent sheets"),
        (evaluation(0.9, 0.94, n=150), "figshare", "too few sheets to tell", "reaches beyond"),
        (evaluation(0.895, 0.945), "gbif", "reproduced", "not on its own, which are not published"),
        (evaluation(0.895, 0.945, network="resnet50"), "figshare", "not comparable", "another network than 'resnet50'"),
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


def test_the_fewer_sheets_the_harder():
    """The same shares on fewer sheets never turn into a reproduction."""
    verdicts = [judge_reproduction(evaluation(0.9, 0.94, n=n), "figshare")["verdict"] for n in (20, 200, 700, 5000)]
    assert verdicts == sorted(verdicts, reverse=True) and verdicts[0] != "reproduced" == verdicts[-1]
