"""The head: a logistic regression whose strength is chosen with groups kept together."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sheetlens.features.head import STRENGTHS, fit_head, sheet_weights


def sheets(count=90, size=40, classes=3, seed=0):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = random.normal(0, 1.2, (classes, size))
    return centres[labels] + random.normal(0, 2, (count, size)) * random.uniform(0.1, 30, size), labels


@pytest.mark.parametrize(("count", "classes"), [(30, 2), (30, 3), (90, 2), (90, 3)])
def test_it_is_the_regression_of_scikit_learn_on_standardised_features(count, classes):
    """More features than sheets, or fewer: the turned features give the same as the features."""
    features, labels = sheets(count, 40, classes)
    head = fit_head(features, labels, classes, strength=0.1)
    scaler = StandardScaler().fit(features)
    peer = LogisticRegression(C=0.1, tol=1e-8, max_iter=5000).fit(scaler.transform(features), labels)
    assert head.probabilities(features) == pytest.approx(peer.predict_proba(scaler.transform(features)), abs=2e-3)
    assert head.probabilities(features).sum(axis=1) == pytest.approx(np.ones(count))
    assert head.losses == {} and head.strength == 0.1


def test_groups_stay_together_when_the_strength_is_chosen():
    """Sheets of a gathering look alike and share a label that nothing else tells: only without groups it seems easy."""
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(20), 5)
    labels = random.permutation(np.arange(20) % 2)[groups]
    features = random.normal(0, 3, (20, 30))[groups] + random.normal(0, 0.1, (100, 30))
    apart, together = fit_head(features, labels, 2), fit_head(features, labels, 2, groups)
    assert min(apart.losses.values()) < 0.3 < 0.6 < min(together.losses.values())
    assert together.strength <= apart.strength and set(together.losses) == set(STRENGTHS)


def test_a_rare_class_counts_as_much_as_the_other_if_asked():
    random = np.random.default_rng(2)
    labels = np.r_[np.zeros(190, int), np.ones(10, int)]
    features = random.normal(0, 1, (200, 3)) + labels[:, None]
    plain, balanced = (fit_head(features, labels, 2, balanced=some, strength=1.0) for some in (False, True))
    found = [(head.probabilities(features).argmax(1) == labels)[labels == 1].mean() for head in (plain, balanced)]
    assert found[0] < 0.5 and found[1] > 0.7
    assert np.bincount(labels, sheet_weights(labels, None, True)) == pytest.approx([100, 100])
    weighted = fit_head(features, labels, 2, weights=np.where(labels == 1, 19, 1), strength=1.0)
    assert weighted.weight == pytest.approx(balanced.weight, abs=1e-6)


def test_a_class_without_labels_is_possible_and_one_class_alone_is_not():
    features, labels = sheets(60, 10, 2)
    head = fit_head(features, 2 * labels, 4, strength=0.1)
    assert head.probabilities(features)[:, [1, 3]].max() < 1e-9
    assert np.array_equal(
        head.probabilities(features).argmax(1),
        2 * fit_head(features, labels, 2, strength=0.1).probabilities(features).argmax(1),
    )
    with pytest.raises(ValueError, match="two of 0 to 1 at least"):
        fit_head(features, np.zeros(60, int), 2)
    with pytest.raises(ValueError, match="infinite or no numbers"):
        fit_head(np.where(features > 0, np.nan, features), labels, 2)


def test_one_sheet_of_a_class_leaves_nothing_to_choose_by():
    features, labels = sheets(20, 5, 2)
    labels[:] = 0
    labels[3] = 1
    assert fit_head(features, labels, 2).strength in STRENGTHS


def test_the_same_sheets_give_the_same_bits():
    features, labels = sheets()
    features[:, 4] = 7  # a feature that never varies
    first, second = fit_head(features, labels, 3), fit_head(features.copy(), labels.copy(), 3)
    assert np.array_equal(first.weight, second.weight) and not first.weight[:, 4].any()
