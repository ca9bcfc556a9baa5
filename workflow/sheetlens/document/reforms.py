"""The REFORMS checklist: what a run knows is filled in, what only a person knows is left open.

Kapoor et al. 2024, REFORMS: Consensus-based Recommendations for Machine-learning-based Science, Science
Advances 10: eadk3452, Table 1. The items are given in short.
"""

from dataclasses import dataclass

from sheetlens.document.study import Study

OPEN = ""  # a person must answer
LEFT_OUT = {"held_out_source": "Sheets of other sources that belong together with one held out are in no part."}
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
    evaluation, folder = study.outcome.evaluation, study.folder
    facts, split, train = study.models[0], study.settings.split, study.settings.train
    data = facts.get("data", {})
    refused = len(study.manifest) - len(study.used)
    counts = study.used["label"].value_counts().sort_index()
    frequencies = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    shares = [
        f"{label} {100 * (group['status'] != 'ok').mean():.1f} %" for label, group in study.manifest.groupby("label")
    ]
    drawn = study.source == "demo"
    baselines = next((f for _, f in study.findings if f.audit == "shortcut baselines"), None)
    answers = {
        "2a": f"{folder}/manifest.parquet names every file with its SHA-256"
        f" (index {data.get('index_sha256', 'not recorded')}); source: {study.source}.",
        "2b": f"Sheetlens {facts.get('versions', {}).get('sheetlens', 'unknown')}; versions of the packages in"
        f" {folder}/models/*/*/model.json. Link to the exact commit: to be added by the authors.",
        "2c": f"Trained on {facts['device']} in {facts['precision']}; time and memory of each step in logs/.",
        "2d": "README.md of the code.",
        "2e": "`snakemake` runs everything from the raw photographs to this page; `dvc repro` does the same.",
        "3d": f"Class of the sheet, as filed: {', '.join(evaluation['classes'])}. Counts: {frequencies}.",
        "3e": f"{len(study.used):,} sheets: {frequencies}.",
        "3f": f"Files that could not be used, by class: {', '.join(shares)} ({folder}/manifest.parquet).",
        "4a": f"{refused} of {len(study.manifest)} files were refused; each stands with its reason in"
        f" {folder}/manifest.parquet. {LEFT_OUT.get(evaluation['protocol'], 'No other sheet is left out.')}",
        "4b": "A file that is no whole JPEG, PNG or TIFF picture is refused, never repaired.",
        "4c": f"Reduced decoding, one bicubic resize to {facts['image_size']}x{facts['image_size']} pixels"
        f" ({facts['fit']}, policy {facts['policy']}), sRGB, upright, then normalised by the mean and deviation of"
        " each channel.",
        "5a": f"{len(study.models)} networks of one kind ({facts['network']}, {facts['parameters']:,} parameters), one"
        f" for each seed; settings and weights' digests in {folder}/models/. Baselines: {folder}/audits/.",
        "5b": "The networks are those of Schuettpelz et al. 2017, Tables 1 and 2: the study repeats them.",
        "5c": f"Protocol '{evaluation['protocol']}': {100 * split.train:g} % training,"
        f" {100 * split.validation:g} % validation, {100 * split.test:g} % test, afresh for each"
        f" of the seeds {', '.join(map(str, evaluation['seeds']))};"
        f" {folder}/splits/. The test part is read once for each model.",
        "5d": "Of each training the epoch with the best validation accuracy; all seeds are reported, none is chosen.",
        "5e": f"None: AdamW, highest rate {facts['settings']['learning_rate']}, batches of {train.batch_size},"
        f" at most {train.epochs} epochs, dropout {train.dropout}, set beforehand in config/.",
        "5f": "Majority, metadata, colour histogram, border strip and label corner on the same parts"
        + (f": {baselines.sentence}" if baselines else "."),
        "6a": "Channel statistics and training use the training part, the choice of epoch the validation part;"
        " resizing looks at one sheet at a time.",
        "6b": _leakage(study),
        "7a": "Accuracy, also with the least sure set aside, confusion matrix, error among those set aside"
        f" ({folder}/evaluation/). The classes are"
        f" {'about equally' if counts.min() > 0.4 * counts.sum() else 'unequally'} large.",
        "7b": f"Wilson intervals at {100 * evaluation['confidence']:g} % for one test part, standard deviation over"
        f" {len(evaluation['seeds'])} seeds; gains over baselines by bootstrap over sheets.",
        "7c": "Permutation of the labels of unseen sheets, one for each specimen; several seeds by twice the median p,"
        " several baselines by Holm. It assumes that specimens are independent of each other.",
    }
    if drawn:
        answers |= {
            "1a": "None about herbaria: the sheets are drawn by a program to show that the workflow works.",
            "3a": "Drawn by Sheetlens; labels are known, and some are wrong on purpose (originals/truth.parquet).",
            "3b": "The program that draws them (workflow/sheetlens/demo).",
            "8b": "Any real sheet: nothing here says how well photographs are read.",
        }
    return answers


def _leakage(study: Study) -> str:
    protocol = study.outcome.evaluation["protocol"]
    found = [finding.sentence for _, finding in study.findings if finding.audit in ("duplicates", "leakage")]
    if found:
        return " ".join(found)
    held = "does not keep" if protocol == "random" else "keeps"
    return f"The protocol '{protocol}' {held} the sheets of one specimen in one part ({study.folder}/splits/)."
