"""Which of several networks reads a data set best: chosen on the validation part, compared on the test part."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sheetlens import __version__
from sheetlens.common import files
from sheetlens.common.tables import probability_column, probability_columns
from sheetlens.evaluate.evaluation import over_seeds
from sheetlens.statistics.clusters import effective_size, smallest
from sheetlens.statistics.comparisons import mcnemar
from sheetlens.statistics.significance import combine_p, holm, paired_gain

log = logging.getLogger(__name__)

COSTS = ("gpu_memory", "parameters", "trained", "flops", "device", "precision")
Answers = dict[str, dict[int, pd.DataFrame]]  # by network and seed: image_id, whether named rightly, group


def rank_networks(
    predictions: Sequence[Path], costs: Sequence[Path], standard: str, times: str, confidence: float
) -> list[dict[str, Any]]:
    """One row for each network, best first: by mean validation accuracy, of equals by mean validation loss.

    `predictions` lie in the model folders, one for each network and seed, `costs` were written by `measure_costs`;
    `times` are the paths of Snakemake's benchmark of a training, with {network} and {seed}, of those that there may be,
    with blanks between. A row has the accuracies of
    both parts over the seeds (as `over_seeds`), `seconds` of a training, the costs, and `gain`: that in test accuracy
    over the network `standard`, with an interval over sheets, the exact McNemar test of each seed, their p
    combined, and that p adjusted for the number of networks (Holm); `restarts` counts the trainings that were given up
    and begun again. The test part plays no part in the order.
    """
    models = [(files.read_json(path.with_name("model.json")), files.read_table(path)) for path in predictions]
    networks = list(dict.fromkeys(facts["network"] for facts, _ in models))
    validation, test = (_answers(models, part) for part in ("validation", "test"))
    losses = {
        name: np.mean([facts["validation_loss"] for facts, _ in models if facts["network"] == name])
        for name in networks
    }
    gains = {name: _gain(test[name], test[standard], confidence) for name in networks if name != standard}
    adjusted = holm({name: gain["p"] for name, gain in gains.items()})
    known = {facts["network"]: facts for facts in map(files.read_json, costs)}
    rows = [
        {
            "network": name,
            "validation": _accuracy(validation[name], confidence),
            "test": _accuracy(test[name], confidence),
            "gain": gains[name] | {"p_adjusted": adjusted[name]} if name in gains else None,
            "seconds": _seconds(times, name, list(test[name])),
            **{key: known[name][key] for key in COSTS},
            "restarts": sum(len(facts.get("restarts", [])) for facts, _ in models if facts["network"] == name),
            "definition": known[name]["definition"],
        }
        for name in networks
    ]
    return sorted(rows, key=lambda row: (-row["validation"]["mean"], losses[row["network"]]))


def _answers(models: list[tuple[dict[str, Any], pd.DataFrame]], part: str) -> Answers:
    found: Answers = {}
    for facts, table in models:
        sheets = table[table["part"] == part].set_index("image_id").sort_index()
        names = probability_columns(facts["classes"])
        guess = np.array(names)[sheets[names].to_numpy().argmax(axis=1)]
        right = (sheets["label"].map(probability_column) == guess).rename("right")
        groups = sheets["group"] if "group" in sheets else pd.Series(sheets.index, sheets.index)
        found.setdefault(facts["network"], {})[facts["seed"]] = right.to_frame().assign(group=groups)
    return found


def _accuracy(right: dict[int, pd.DataFrame], confidence: float) -> dict[str, float | None]:
    sizes = [effective_size(one["right"].to_numpy(), pd.factorize(one["group"])[0]) for one in right.values()]
    return over_seeds([float(one["right"].mean()) for one in right.values()], smallest(sizes), confidence)


def _gain(first: dict[int, pd.DataFrame], second: dict[int, pd.DataFrame], confidence: float) -> dict[str, Any]:
    """How much better the first is than the second on the same sheets."""
    pairs = {seed: (first[seed]["right"].to_numpy(), second[seed]["right"].to_numpy()) for seed in first}
    seeds = {seed: mcnemar(*pair, pd.factorize(first[seed]["group"])[0]) for seed, pair in pairs.items()}
    gains = [first[seed].assign(gain=one.astype(float) - other) for seed, (one, other) in pairs.items()]
    tests = pd.concat(gains).reset_index()
    tested = {"mcnemar": [{"seed": seed} | test for seed, test in seeds.items()]}
    return paired_gain(tests, confidence) | tested | {"p": combine_p([test["p"] for test in seeds.values()])}


def _seconds(times: str, network: str, seeds: list[int]) -> float | None:
    """Mean seconds of the trainings whose benchmarks are here; None without any."""
    paths = [Path(one.format(network=network, seed=seed)) for one in times.split() for seed in seeds]
    found = [float(files.read_table(path)["s"].iloc[-1]) for path in paths if path.is_file()]
    return float(np.mean(found)) if found else None


def as_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The leaderboard for people: the same rows without the single tests and the definitions."""
    return pd.DataFrame(
        [
            {
                "rank": rank,
                "network": row["network"],
                **{f"validation_{key}": row["validation"][key] for key in ("mean", "sd", "low", "high")},
                **{f"test_{key}": row["test"][key] for key in ("mean", "sd", "low", "high")},
                "gain": (row["gain"] or {}).get("gain"),
                **{f"gain_{key}": (row["gain"] or {}).get(key) for key in ("low", "high")},
                **{key: (row["gain"] or {}).get(key) for key in ("p", "p_adjusted")},
                **{key: row[key] for key in ("seconds", *COSTS, "restarts")},
            }
            for rank, row in enumerate(rows, start=1)
        ]
    )


def write_leaderboard(
    dataset: str,
    title: str,
    protocol: str,
    standard: str,
    confidence: float,
    times: str,
    costs: Sequence[Path],
    table: Path,
    output: Path,
    predictions: Sequence[Path],
) -> None:
    """Rank networks by their validation parts; write the leaderboard as a table and, with every test, as JSON."""
    rows = rank_networks(predictions, costs, standard, times, confidence)
    facts = {"dataset": dataset, "title": title, "protocol": protocol, "confidence": confidence}
    facts |= {"standard": standard, "chosen": rows[0]["network"], "networks": rows, "version": __version__}
    files.write_table(table, as_table(rows))
    files.write_json(output, facts)
    shares = [100 * rows[0][part]["mean"] for part in ("validation", "test")]
    told = (dataset, rows[0]["network"], len(rows), *shares)
    log.info("%s: on validation %s is the best of %d networks: accuracy %.1f %% there, %.1f %% on test", *told)
