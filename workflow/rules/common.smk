# Shared by all rules: the checked config, the names it gives, the surroundings of the commands.
import ast
import fcntl
import functools
import os
import shlex
import sys
from pathlib import Path

from pydantic_core import to_json
from snakemake.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import DeploymentMethod

SOURCE = Path(workflow.basedir) / "workflow"
sys.path.insert(0, str(SOURCE))

from sheetlens.workflow import adoption, product_hashes, sigterm
from sheetlens.config import read_settings
from sheetlens.common.errors import UserError
from sheetlens.fetch.sources import folder

SEARCHED = ["dwca", "gbif", "idigbio", "smithsonian"]  # sources that find pictures through specimen records
ENDINGS = ["svg", "png", "pdf", "csv"]
STUDY_FIGURES = ["1", "2"]  # the paper's
DATASET_FIGURES = [*STUDY_FIGURES, "history"]
EVIDENCE_FIGURES = ["risk", "reliability", "seeds"]
AUDIT_FIGURES = ["shortcuts", "saliency", "mistakes", "unsure"]
DOCUMENTS = ["audits", "model-card", "datasheet", "reforms"]
# Values arrive as params, and wording is no result. Changes there make nothing out of date.
UNTRACKED = {"config", "common.errors", "common.progress", "common.refusals"}

try:
    settings = read_settings(config)
    for dataset in settings.chosen.values():
        if dataset.source == "folder":
            folder.check(dataset.folder, dataset.labelled)
    if workflow.is_main_process:
        adoption.adopt(Path(workflow.basedir).resolve(), Path.cwd())
except UserError as error:
    raise WorkflowError(str(error)) from None

DATASETS = list(settings.chosen)
PROTOCOLS = list(settings.split.protocols)
SEEDS = list(settings.split.seeds)
COLLECTIONS = list(settings.predict.collections)
EXPLORED = [name for name in DATASETS if name in settings.explore]
NETWORKS = sorted({network for name in DATASETS for network in settings.candidates(name)})
HEADS = [name for name in NETWORKS if settings.features_of(name)]  # networks whose head reads features
BACKBONES = {settings.features_of(name): name for name in HEADS}  # the features, and a network that reads them
RANKED = [name for name, collection in settings.predict.collections.items() if collection.hotspots]


wildcard_constraints:
    dataset="|".join(DATASETS),
    network="|".join(NETWORKS),
    features="|".join(BACKBONES) or "(?!)",
    protocol="|".join(PROTOCOLS),
    seed="|".join(str(seed) for seed in SEEDS),
    shard=r"\d+",
    collection="|".join(COLLECTIONS) or "(?!)",


def surroundings():
    """Shell lines before each command: this checkout's package, and the Python it was installed for."""
    # The prefix takes the place of Snakemake's own; without pipefail, tee would hide a command that fails.
    lines = "set -euo pipefail; "
    asking = settings.fetch.model_dump_json().replace("{", "{{").replace("}", "}}")  # Snakemake formats these lines
    # How servers are asked is no part of the result: a variable, where a param would make the listing out of date.
    lines += f"export SHEETLENS_FETCH={shlex.quote(asking)}; "
    costs = settings.images.limits.model_dump_json().replace("{", "{{").replace("}", "}}")
    # So is what showing or checking one picture may cost; where it decides what is read, it is a param.
    lines += f"export SHEETLENS_LIMITS={shlex.quote(costs)}; "
    lines += f"export PYTHONPATH={shlex.quote(str(SOURCE))} SHEETLENS_WORKFLOW_PID={os.getpid()}; "
    if not set(workflow.deployment_settings.deployment_method) & {
        DeploymentMethod.CONDA,
        DeploymentMethod.APPTAINER,
    }:
        lines += f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"; '
    return lines


shell.prefix(surroundings())
sigterm.install()


def from_source(*sources):
    """Wildcard constraint: the data sets that come from these sources (or none)."""
    names = [name for name, dataset in settings.chosen.items() if dataset.source in sources]
    return "|".join(names) or "(?!)"


def every_original():
    """What stands for the originals of each data set whose source brings files.

    The folder itself if it is made in one go; if it is fetched, the checksums in it, because Snakemake deletes
    products before it runs a rule again, and files must not be fetched twice.
    """
    made = {"demo": "results/{}/originals", "folder": None}
    patterns = {
        name: made.get(dataset.source, "results/{}/originals/SHA256SUMS") for name, dataset in settings.chosen.items()
    }
    return [pattern.format(name) for name, pattern in patterns.items() if pattern]


def streamed(name):
    """Whether the files of a data set are prepared as they arrive, and dropped."""
    return not settings.images.keep_originals and settings.datasets[name].source not in ("demo", "folder", "figshare")


def stream_option(wildcards):
    """Param: the options that prepare files as they arrive, or nothing."""
    name = wildcards.dataset
    images = settings.images.model_dump_json(exclude={"jobs"})
    return ["--shards", f"results/{name}/shards", "--images", images, "--workers", "2"] if streamed(name) else []


def every_shard(ending):
    """Input function: the shards that jobs make; none where fetching makes them."""

    def shards(wildcards):
        count = 0 if streamed(wildcards.dataset) else settings.images.jobs
        return [f"results/{wildcards.dataset}/shards/{shard}{ending}" for shard in range(count)]

    return shards


def source_settings(wildcards):
    """Param: the section of the config that says where a data set comes from, as JSON."""
    dataset = settings.datasets[wildcards.dataset]
    return to_json(dataset.source_settings).decode()


def train_settings(wildcards):
    """Param: the config's section `train` with the learning rate of one network, as JSON."""
    rate = {wildcards.network: settings.train.rate(wildcards.network)}
    return settings.train.model_copy(update={"learning_rate": rate}).model_dump_json()


def definition_option(wildcards):
    """Param: the option that says what a network is, or nothing for one of the paper's."""
    definition = settings.definition(wildcards.network)
    return ["--definition", to_json(definition.facts).decode()] if definition else []


def weights_file(wildcards):
    """Input: the file here that a network's weights start from, if there is one."""
    definition = settings.definition(wildcards.network)
    return [definition.weights.path] if definition and definition.weights and definition.weights.path else []


def backbone_option(wildcards):
    """Param: the option that says which network the features of a backbone are read with."""
    return ["--definition", to_json(settings.definition(BACKBONES[wildcards.features]).facts).decode()]


def backbone_weights_file(wildcards):
    """Input: the file here with the weights of a backbone, if there is one."""
    definition = settings.definition(BACKBONES[wildcards.features])
    return [definition.weights.path] if definition.weights.path else []


def features_of_network(wildcards):
    """Input: the features that a network's head reads; none for one that is trained on the pictures."""
    name = settings.features_of(wildcards.network)
    return [f"results/{wildcards.dataset}/features/{name}.npy"] if name else []


def features_option(wildcards, input):
    """Param: the option with these features, or nothing."""
    return [word for path in input.features for word in ("--features", path)]


def every_features():
    """The features that the networks of the data sets read."""
    return [
        f"results/{dataset}/features/{name}{ending}"
        for dataset in DATASETS
        if (name := settings.features_of(settings.datasets[dataset].network))
        for ending in (".npy", ".json")
    ]


def source_files(wildcards):
    """Input: the files here that a data set's source reads, and its specimen records."""
    dataset = settings.datasets[wildcards.dataset]
    section, named = dataset.source_settings, [dataset.records.path] if dataset.records else []
    if dataset.source in ("iiif", "urls"):
        named += [section.table]
    elif dataset.source == "dwca":
        named += section.archives
    elif dataset.source == "smithsonian":
        named += [chosen.barcodes for chosen in section.classes.values() if chosen.barcodes]
    return [place for place in named if "://" not in place]


def records_option(wildcards):
    """Param: the option with the specimen records to join, or nothing."""
    records = settings.datasets[wildcards.dataset].records
    return ["--records", records.model_dump_json()] if records else []


def corrections_file(wildcards):
    """Input: the table of corrected labels, if there is one."""
    corrections = settings.datasets[wildcards.dataset].corrections
    return [corrections.path] if corrections else []


def corrections_option(wildcards):
    """Param: the option with the corrections of labels, or nothing."""
    corrections = settings.datasets[wildcards.dataset].corrections
    return ["--corrections", corrections.model_dump_json()] if corrections else []


def training_launcher():
    """Param: what starts a training: Python, or torchrun with a process for each GPU."""
    gpus = settings.train.gpus
    return "python" if gpus == 1 else f"torchrun --standalone --nproc-per-node {gpus} --virtual-local-rank"


def paper_option(wildcards):
    """Param: the option with the paper's values, or nothing."""
    paper = settings.datasets[wildcards.dataset].paper
    return ["--paper", to_json(paper).decode()] if paper else []


def more_each_attempt(amount):
    """Resource: a job that the scheduler ended is sent again with that much more (see `retries` in the profiles)."""
    return lambda wildcards, attempt: amount * attempt


def package_file(name):
    """A file of the package, as seen from the folder the workflow runs in."""
    return os.path.relpath(SOURCE / "sheetlens" / name)


def package_files(pattern):
    """Files of the package that are no modules, such as templates."""
    return [package_file(path) for path in sorted((SOURCE / "sheetlens").glob(pattern))]


@functools.cache
def modules(*names):
    """Source files of modules and of all modules of the package that they import."""
    found, waiting = {}, list(names)
    while waiting:
        name = waiting.pop()
        place = SOURCE / "sheetlens" / name.replace(".", "/")
        path = next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)
        if path is None or name in found or name in UNTRACKED or name.split(".")[0] in UNTRACKED:
            continue
        found[name] = package_file(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("sheetlens."):
                inside = node.module.removeprefix("sheetlens").lstrip(".")
                waiting += [inside, *(f"{inside}.{alias.name}".lstrip(".") for alias in node.names)]
    return sorted(found.values())


def every_model(file, datasets=DATASETS, protocols=PROTOCOLS):
    """A file of every model: of each data set, protocol and seed."""
    return [
        f"results/{name}/models/{settings.datasets[name].network}/{protocol}-{seed}/{file}"
        for name in datasets
        for protocol in protocols
        for seed in SEEDS
    ]


def candidate_models(file):
    """Input function: a file of every model of the networks that are compared on a data set."""

    def models(wildcards):
        return [
            f"results/{wildcards.dataset}/models/{network}/{PROTOCOLS[0]}-{seed}/{file}"
            for network in settings.candidates(wildcards.dataset)
            for seed in SEEDS
        ]

    return models


def candidate_costs(wildcards):
    """Input: what each network costs that is compared on a data set."""
    networks = settings.candidates(wildcards.dataset)
    return [f"results/{wildcards.dataset}/explore/costs/{network}.json" for network in networks]


def every_leaderboard(wildcards):
    """Input: the leaderboard of each data set that other networks are tried on, with its figure."""
    if not EXPLORED:
        raise WorkflowError(
            "there is nothing to explore: name networks in the config, such as config/explore.yaml does"
        )
    products = ["leaderboard.csv", "leaderboard.json", *(f"figure-costs.{ending}" for ending in ENDINGS)]
    return [f"results/{name}/explore/{product}" for name in EXPLORED for product in products]


def every_evaluation(datasets=DATASETS, protocols=PROTOCOLS):
    """The evaluation of each data set and protocol."""
    return [
        f"results/{name}/evaluation/{settings.datasets[name].network}-{protocol}.json"
        for name in datasets
        for protocol in protocols
    ]


def every_finding(datasets=DATASETS):
    """What each audit found, for each data set."""
    findings = ["duplicates", "labels", "regions", "saliency", "setup"]
    findings += [f"{audit}-{protocol}" for audit in ("leakage", "shortcuts", "training") for protocol in PROTOCOLS]
    return [f"results/{name}/audits/{finding}.json" for name in datasets for finding in findings]


def collection_model(wildcards):
    """Input: the package of the model that reads a collection, of the first protocol and seed."""
    name = settings.predict.collections[wildcards.collection].dataset
    return f"results/{name}/models/{settings.datasets[name].network}/{PROTOCOLS[0]}-{SEEDS[0]}/package.json"


def collection_table(wildcards):
    """Input: the table that lists a collection; nothing where it is a folder."""
    source = settings.predict.collections[wildcards.collection].input
    return [] if Path(source).is_dir() else [source]


def collection_fingerprint(wildcards):
    """Param: a digest of names, sizes and times of the files of a collection's folder; none for a table."""
    source = Path(settings.predict.collections[wildcards.collection].input)
    return folder.digest(source) if source.is_dir() else ""


def hotspots_settings(wildcards):
    """The config's section `hotspots` of a collection."""
    return settings.predict.collections[wildcards.collection].hotspots


def collection_records(wildcards):
    """Input: the specimen records here that a collection's sheets are joined to."""
    return [records.path for records in hotspots_settings(wildcards).records if "://" not in records.path]


def hotspots_options(wildcards):
    """Param: the options with the specimen records to join."""
    return [word for one in hotspots_settings(wildcards).records for word in ("--records", one.model_dump_json())]


def hold_results():
    """Keep a second run, or another study, from writing into these results."""
    global results_lock  # held for as long as this process lives; a kill lets go by itself
    Path(".snakemake").mkdir(exist_ok=True)
    results_lock = open(".snakemake/sheetlens.lock", "w")
    try:
        fcntl.flock(results_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError("another run is at work in this folder: wait for it or stop it first") from None
    for name, dataset in settings.chosen.items():
        listing, note = Path(f"results/{name}/listing.parquet"), Path(f"results/{name}/.source")
        source = dataset.source
        if source == "folder":
            source = f"folder {os.path.normpath(dataset.folder.path)}"
        if listing.exists() and note.exists() and note.read_text() != source:
            raise WorkflowError(
                f"results/{name} holds sheets and models from the source '{note.read_text()}', and this run would"
                f" put those from '{source}' in their place: move results/ away or delete it first, or, if these are"
                f" the same sheets, delete {note}"
            )
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(source)
    product_hashes.begin(Path("results"))


def note_hashes():
    """Note what was made, and name what somebody else changed since the last run."""
    try:
        strange = product_hashes.note(Path("results"))
    except UserError as error:
        print(error, file=sys.stderr)
    else:
        for name in strange:
            print(
                f"results/{name} changed since the last run, and not by one: 'sheetlens check' says more",
                file=sys.stderr,
            )
