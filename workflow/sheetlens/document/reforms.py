"""The REFORMS checklist: what a run knows is filled in, what only a person knows is left open.

Kapoor et al. 2024, REFORMS: Consensus-based Recommendations for Machine-learning-based Science, Science
Advances 10: eadk3452, Table 1. The items are given in short.
"""

from dataclasses import dataclass
from typing import Any

from sheetlens.config import Split
from sheetlens.config.networks import BUILT_IN, PAPER_NETWORKS
from sheetlens.document.study import Study
from sheetlens.prepare.decoding.decode import FORMATS

OPEN = ""  # a person must answer
LEFT_OUT = {"held_out_source": "Sheets of other sources that belong together with one held out are in no part."}
DEALT = {  # by protocol: how the sheets are dealt into the parts
    "random": "at random over the sheets of each class",
    "grouped": "in groups of sheets that belong together ({groups})",
    "held_out_source": "the test part is one source ({held_out}), the others are split in groups ({groups})",
}
ALIKE = 1.5  # times the smallest class: up to there we call classes about equally large
DRAWN = {  # answers for sheets that a program drew
    "1a": "None about herbaria: the sheets are drawn by a program to show that the workflow works.",
    "3a": "Drawn by Sheetlens; labels are known, and some are wrong on purpose (originals/truth.parquet).",
    "3b": "The program that draws them (workflow/sheetlens/demo).",
    "8b": "Any real sheet: nothing here says how well photographs are read.",
}
ITEMS = {
    "1 Study goals": {
        "1a": "Population or distribution about which the claim is made",
        "1b": "Why this population or distribution",
        "1c": "Why machine learning",
    },
    "2 Computational reproducibility": {
        "2a": "Data set, with a link or identifier",
        "2b": "Code, with a link or identifier of its version",
        "2c": "Computing infrastructure",
        "2d": "README with instructions",
        "2e": "Script that produces all results",
    },
    "3 Data quality": {
        "3a": "Sources of the data, when collected, how labelled",
        "3b": "Distribution or set that the data are sampled from",
        "3c": "Why the data are useful for the task",
        "3d": "Outcome variable, its definition and statistics",
        "3e": "Sample size and outcome frequencies",
        "3f": "Share of missing data, by class",
        "3g": "Why the sampled set represents the population of the claim",
    },
    "4 Data preprocessing": {
        "4a": "Excluded samples, and why",
        "4b": "Impossible or corrupt samples",
        "4c": "All transformations from the raw form to the model's input",
    },
    "5 Modelling": {
        "5a": "All models trained, in detail",
        "5b": "Why these kinds of model",
        "5c": "How the models are evaluated, with the splits",
        "5d": "How the reported models are selected",
        "5e": "Tuning of hyperparameters",
        "5f": "Appropriate baselines",
    },
    "6 Data leakage": {
        "6a": "Preprocessing and modelling use the training part only",
        "6b": "Dependencies and duplicates between training and test part",
        "6c": "Every input is legitimate for the task",
    },
    "7 Metrics and uncertainty": {
        "7a": "All metrics, and why they suit",
        "7b": "Uncertainty estimates and how they are computed",
        "7c": "Statistical tests and their assumptions",
    },
    "8 Generalisability and limitations": {
        "8a": "Evidence of external validity",
        "8b": "Where the findings are not expected to hold",
    },
}


@dataclass(frozen=True)
class Item:
    """One item with its answer; empty where a person must write it."""

    number: str
    asks: str
    answer: str

    @property
    def open(self) -> bool:
        """Whether a person must answer."""
        return not self.answer


def answer_items(study: Study) -> dict[str, list[Item]]:
    """All 32 items by module, answered from the products as far as these know."""
    answers = _answers(study)
    return {
        module: [Item(number, asks, answers.get(number, OPEN)) for number, asks in items.items()]
        for module, items in ITEMS.items()
    }


def _answers(study: Study) -> dict[str, str]:
    return _resources(study) | _data(study) | _modelling(study) | _metrics(study) | (DRAWN if study.drawn else {})


def _resources(study: Study) -> dict[str, str]:
    folder, facts = study.folder, study.models[0]
    work = sorted({f"{model['device']} in {model['precision']}" for model in study.models})
    versions = sorted({model["versions"]["sheetlens"] for model in study.models})
    return {
        "2a": f"{folder}/manifest.parquet names every file with its SHA-256"
        f" (index {facts['data']['index_sha256']}); source: {study.source}.",
        "2b": f"Sheetlens {', '.join(versions)}; versions of the packages in"
        f" {folder}/models/*/*/model.json. Link to the exact commit: to be added by the authors.",
        "2c": f"Trained on {' and '.join(work)}; time and memory of each step in logs/.",
        "2d": "README.md of the code.",
        "2e": "`snakemake` runs everything from the raw photographs to this page; `dvc repro` does the same.",
    }


def _data(study: Study) -> dict[str, str]:
    evaluation, folder, facts = study.outcome.evaluation, study.folder, study.models[0]
    files, used = study.manifest, study.used
    refused = files[files["status"] != "ok"]
    frequencies = _counted(used["label"])
    shares = [f"{label} {100 * (group['status'] != 'ok').mean():.1f} %" for label, group in files.groupby("label")]
    scale = "values that came with the weights" if _pretrained(facts) else "its mean and deviation in the training part"
    return {
        "3d": f"Class of the sheet, as filed: {', '.join(evaluation['classes'])}. Counts: {frequencies}.",
        "3e": f"{len(used):,} sheets: {frequencies}.",
        "3f": f"Files that could not be used, by class: {', '.join(shares)} ({folder}/manifest.parquet).",
        "4a": f"{len(refused)} of {len(files)} files were refused; each stands with its reason in"
        f" {folder}/manifest.parquet. {LEFT_OUT.get(evaluation['protocol'], 'No other sheet is left out.')}",
        "4b": f"A file that is no whole picture in one of the formats {', '.join(FORMATS)} is refused, never repaired;"
        f" the used ones are {_counted(used['format'])}.",
        "4c": f"Reduced decoding, one bicubic resize to {facts['image_size']}x{facts['image_size']} pixels"
        f" ({facts['fit']}, policy {facts['policy']}), the blur of the reduced decoding taken back, sRGB, upright, then"
        f" each channel normalised by {scale}"
        f"{_varied(facts['settings']['recipe'])}.",
    }


def _modelling(study: Study) -> dict[str, str]:
    evaluation, folder, facts = study.outcome.evaluation, study.folder, study.models[0]
    using = "Training uses" if _pretrained(facts) else "Channel statistics and training use"
    return {
        "5a": f"{len(study.models)} networks of one kind ({facts['network']}, {facts['parameters']:,} parameters), one"
        f" for each seed; settings and weights' digests in {folder}/models/. Baselines: {folder}/audits/.",
        "5b": _kind(facts),
        "5c": f"Protocol '{evaluation['protocol']}': {_dealt(study.settings.split, evaluation)};"
        f" {folder}/splits/. The test part is read once for each model.",
        "5d": "The strength of the penalty was chosen by cross-validation inside the training part, what belongs"
        " together kept together; all seeds are reported, none is chosen."
        if "strength" in facts
        else "Of each training the epoch with the best validation accuracy; all seeds are reported, none is"
        f" chosen. {_begun_again(study.models)}",
        "5e": _tuning(study),
        "5f": _baselines(study),
        "6a": f"{using} the training part, the choice of epoch the validation part; resizing looks at one sheet at a"
        " time.",
        "6b": _leakage(study),
    }


def _metrics(study: Study) -> dict[str, str]:
    evaluation, folder = study.outcome.evaluation, study.folder
    counts = study.used["label"].value_counts()
    equally = "about equally" if counts.max() <= ALIKE * counts.min() else "unequally"
    return {
        "7a": "Accuracy, also with the least confident"
        f" {100 * evaluation['set_aside_fraction']:g} % set aside, confusion matrix, error among those set aside"
        f" ({folder}/evaluation/). The classes are {equally} large.",
        "7b": f"Wilson intervals at {100 * evaluation['confidence']:g} % for the independent sheets of one test part"
        f" (related ones count for less), standard deviation over {len(evaluation['seeds'])} seeds; gains over"
        " baselines by bootstrap over groups of sheets.",
        "7c": "Permutation of the labels of unseen sheets, one for each specimen; several seeds by twice the median p,"
        " several baselines by Holm. It assumes that specimens are independent of each other.",
    }


def _counted(values: Any) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in values.value_counts().sort_index().items())


def _pretrained(facts: dict[str, Any]) -> bool:
    return bool(facts.get("definition", {}).get("weights"))


def _kind(facts: dict[str, Any]) -> str:
    if facts["network"] in PAPER_NETWORKS:
        return f"The network is that of Schuettpelz et al. 2017, Table {facts['network'].removeprefix('table')}."
    if facts["network"] in BUILT_IN:
        return (
            "EfficientNet-Lite0 with ImageNet's weights, frozen, and a multinomial logistic regression on its"
            " standardised features, whose strength was chosen by cross-validation inside the training part: what"
            " measures best on a few hundred sheets (Sheetlens, benchmarks/features.py)."
        )
    definition = "; ".join(f"{key} {value}" for key, value in facts["definition"].items())
    return f"The network '{facts['network']}' is none of the paper's ({definition}). Why: to be added by the authors."


def _varied(recipe: dict[str, Any]) -> str:
    varied = [f"{name} {recipe[name]}" for name in ("flip", "rotate", "shift", "colour") if recipe[name]]
    return f"; in training varied at random ({', '.join(varied)})" if varied else ""


def _dealt(split: Split, evaluation: dict[str, Any]) -> str:
    how = DEALT[evaluation["protocol"]].format(groups=", ".join(split.groups), held_out=split.held_out)
    sizes = ", ".join(f"{part} {count:,}" for part, count in evaluation["sheets"].items())
    seeds = ", ".join(map(str, evaluation["seeds"]))
    return (
        f"{how}; wanted are {100 * split.train:g} % training, {100 * split.validation:g} % validation,"
        f" {100 * split.test:g} % test, afresh for each of the seeds {seeds} (sheets of the first: {sizes})"
    )


def _begun_again(models: list[dict[str, Any]]) -> str:
    again = [str(model["seed"]) for model in models if model.get("restarts")]
    return f"Begun again from other weights, as their trainings failed: seeds {', '.join(again)}." if again else ""


def _tuning(study: Study) -> str:
    facts = study.models[0]["settings"]
    recipe = facts["recipe"]
    average = f", weights averaged with decay {recipe['average']:g}" if recipe["average"] else ""
    set_beforehand = (
        f"AdamW, highest rate {facts['learning_rate']:g} ({recipe['schedule']}), weight decay"
        f" {recipe['weight_decay']:g}{average}, batches of {facts['batch_size']}, at most {facts['epochs']} epochs,"
        f" patience {facts['patience']}, dropout {facts['dropout']:g}, all set in config/ before the training."
    )
    others = [name for name in study.settings.explore.get(study.name, ()) if name != study.models[0]["network"]]
    if others:
        return f"{set_beforehand} The config also has networks to be compared with: {', '.join(others)}."
    return f"None in this run. {set_beforehand}"


def _baselines(study: Study) -> str:
    finding = study.finding(f"shortcuts-{study.outcome.evaluation['protocol']}")
    if not finding:
        return OPEN
    return f"On the same parts: {', '.join(finding.numbers['baselines'])}. {finding.sentence}"


def _leakage(study: Study) -> str:
    protocol = study.outcome.evaluation["protocol"]
    found = [finding.sentence for name in ("duplicates", f"leakage-{protocol}") if (finding := study.finding(name))]
    return " ".join(found) or OPEN
