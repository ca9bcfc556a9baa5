"""Shortcut baselines: cheap models that never see the plant, on the same parts and seeds as the network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from sheetlens.audit.baselines.features import FEATURES, NEIGHBOUR, PICTURES, neighbour_shares
from sheetlens.common import files
from sheetlens.common.tables import probability_column
from sheetlens.prepare.image_set import open_image_set

MAJORITY = "majority"
BASELINES = (MAJORITY, *FEATURES)
CATEGORIES = 24  # values of a text told apart, the rest are one: a rare collector is no rule
LEAF = 20  # sheets in a leaf, so that no leaf is one specimen


def measure_sheets(sheets: pd.DataFrame, pixels: NDArray[np.uint8]) -> dict[str, pd.DataFrame]:
    """What each baseline sees of each sheet, by baseline; the same for every split.

    `sheets` has one row per row of `pixels` (uint8, shape (n, 3, 256, 256)) with image_id, specimen_id, label and
    what is known of the photograph and the record.
    """
    return {name: measure(sheets, pixels) for name, measure in FEATURES.items()}


def predict_baselines(sheets: pd.DataFrame, features: dict[str, pd.DataFrame], split: pd.DataFrame) -> pd.DataFrame:
    """Fit every baseline on the training part and predict all sheets.

    `features` is what `measure_sheets` says of `sheets`, which also have a group (the same for those that belong
    together); `split` has image_id and part. Returns baseline, image_id, specimen_id, group, part, label and
    `probability_{class}` (float32). No setting is tuned, so validation and
    test sheets are both unseen.
    """
    part = split.set_index("image_id")["part"].reindex(sheets["image_id"]).to_numpy()
    train = part == "train"
    labels = sheets["label"]
    classes = sorted(labels.unique())
    facts = sheets[["image_id", "specimen_id", "group"]].assign(part=part, label=labels)
    tables = []
    for name in BASELINES:
        probabilities = _predict(name, sheets, features, train, classes)
        columns = {probability_column(label): probabilities[:, code] for code, label in enumerate(classes)}
        tables.append(facts.assign(**columns).assign(baseline=name))
    table = pd.concat(tables, ignore_index=True)
    return table[["baseline", *table.columns.drop("baseline")]]


def _predict(
    name: str, sheets: pd.DataFrame, measured: dict[str, pd.DataFrame], train: NDArray[np.bool_], classes: list[str]
) -> NDArray[np.float32]:
    labels = sheets["label"]
    shares = labels[train].value_counts(normalize=True).reindex(classes, fill_value=0).to_numpy()
    constant = np.tile(shares.astype(np.float32), (len(sheets), 1))
    if name == MAJORITY:
        return constant
    features = measured[name]
    if name in NEIGHBOUR:
        features = pd.concat([features, neighbour_shares(sheets["specimen_id"], labels, train)], axis=1)
    features = features.loc[:, features[train].nunique(dropna=False) > 1]
    if features.empty or labels[train].nunique() < 2:
        return constant
    features.columns = features.columns.astype(str)
    model = _linear() if name in PICTURES else _boosted()
    predicted = np.zeros((len(sheets), len(classes)), np.float32)
    with threadpool_limits(1):  # jobs run side by side, and small models lose by waiting for threads
        model.fit(features[train], labels[train])
        predicted[:, [classes.index(label) for label in model.classes_]] = model.predict_proba(features)
    return predicted


def _linear() -> Pipeline:
    """For many numbers that say a little each: colours."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))


def _boosted() -> Pipeline:
    """For a few facts, numbers and texts, some of them missing."""
    text = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=CATEGORIES, sparse_output=False)
    columns = make_column_transformer(
        (text, make_column_selector(dtype_include=[object, "string", "category"])), remainder="passthrough"
    )
    boosted = HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.1, max_leaf_nodes=8, min_samples_leaf=LEAF, early_stopping=False, random_state=0
    )
    return make_pipeline(columns, boosted)


def write_baselines(
    index: Path, manifest: Path, pixels: Path, groups: Path, folder: Path, splits: Sequence[Path]
) -> None:
    """Train the baselines on each split and write what they predict for all sheets, a table named as each split."""
    sheets, known = files.read_table(index), files.read_table(manifest)
    more = [name for name in known if name not in sheets]
    sheets = sheets.merge(known[["image_id", *more]], on="image_id", how="left", validate="one_to_one")
    related = files.read_table(groups)[["image_id", "group"]]
    sheets = sheets.merge(related, on="image_id", how="left", validate="one_to_one")
    features = measure_sheets(sheets, open_image_set(pixels))
    for split in splits:
        table = predict_baselines(sheets, features, files.read_table(split))
        files.write_table(folder / f"{split.stem}.parquet", table)
