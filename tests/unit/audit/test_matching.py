"""The matched control: what a network still tells among sheets that are alike in a confound."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.special import expit

from sheetlens.audit.baselines.matching import CALIPER, match_pairs, score_matched


def predictions_of(labels, scores):
    """A table of predictions of two classes, each sheet by itself."""
    names = [f"{number:03}" for number in range(len(labels))]
    table = pd.DataFrame({"image_id": names, "group": names, "label": np.where(labels, "a", "b")})
    return table.assign(probability_a=expit(scores), probability_b=expit(-scores))


@pytest.fixture
def sheets():
    """Labels, and a confound that goes with them and says nothing more."""
    random = np.random.default_rng(1)
    labels = random.random(600) < 0.5
    return labels, labels + random.standard_normal(600), random


def test_a_network_that_reads_the_confound_alone_fails(sheets):
    labels, confound, _ = sheets
    found = score_matched(predictions_of(labels, confound - 0.5), predictions_of(labels, confound - 0.5), 0.95)
    assert found["verdict"] == "fails" and found["accuracy"] == pytest.approx(0.5, abs=0.06)


def test_a_network_that_reads_the_plant_holds(sheets):
    labels, confound, random = sheets
    plant = 4 * (labels - 0.5) + random.standard_normal(len(labels))
    found = score_matched(predictions_of(labels, plant), predictions_of(labels, confound - 0.5), 0.95)
    assert found["verdict"] == "holds" and found["low"] > 0.9


def test_without_sheets_that_are_alike_nothing_is_said(sheets):
    labels, _, random = sheets
    apart = 20 * (labels - 0.5) + 0.01 * random.standard_normal(len(labels))
    found = score_matched(predictions_of(labels, apart), predictions_of(labels, apart), 0.95)
    assert found == {"pairs": 0, "accuracy": None, "low": None, "high": None, "verdict": "inconclusive"}


@pytest.mark.parametrize("seed", range(5))
def test_there_are_as_many_pairs_within_the_caliper_as_can_be(seed):
    random = np.random.default_rng(seed)
    own = random.random(60) < 0.4
    scores = own + random.standard_normal(60)
    pairs = match_pairs(scores, own)
    assert own[pairs[:, 0]].all() and not own[pairs[:, 1]].any()
    assert len(np.unique(pairs)) == pairs.size, "each sheet is in one pair at most"
    near = np.abs(scores[own][:, None] - scores[~own]) <= CALIPER * scores.std()
    assert np.abs(scores[pairs[:, 0]] - scores[pairs[:, 1]]).max() <= CALIPER * scores.std()
    assert len(pairs) == (maximum_bipartite_matching(csr_array(near)) >= 0).sum()
