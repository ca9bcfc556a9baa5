# Shared by all rules: the checked config, the names it gives, the surroundings of the commands.
import os
import sys
import time
from pathlib import Path

from pydantic_core import to_json
from snakemake.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import DeploymentMethod

PROJECT = Path(workflow.current_basedir).parents[1]  # not `basedir`: where this is a module, that is the study's folder
if set(str(PROJECT)) & {"{", "}"}:
    raise WorkflowError(
        f"the folder of Sheetlens has braces in its name ({PROJECT}), which Snakemake takes for wildcards: rename it"
    )
SOURCE = PROJECT / "workflow"
sys.path.insert(0, str(SOURCE))

from sheetlens.workflow import adoption, cancellation, runs, schedulers, sigterm
from sheetlens.workflow.naming import fixed, quoted, trackable
from sheetlens.workflow.sources import modules, package_files
from sheetlens.config import Methods, lay_over_environment, read_over
from sheetlens.common.errors import UserError, sentence_for
from sheetlens.common.secrets import without_secrets
from sheetlens.fetch.sources import folder
from sheetlens.figure import catalogue
from sheetlens.audit import AUDITS

ENDINGS = ["svg", "png", "pdf", "csv"]
STUDY_FIGURES = [name for name, drawing in catalogue.FIGURES.items() if drawing.of_study]
DOCUMENTS = ["audits", "model-card", "datasheet", "reforms"]

BEGAN = time.time()
try:
    lay_over_environment(config, os.environ)
    # As a module of another workflow the config is only what that brings: what it leaves out is the paper's.
    settings = read_over(PROJECT / "config/config.yaml", config)
    if workflow.is_main_process:  # jobs read these rules, too
        for dataset in settings.chosen.values():
            if dataset.kind == "here":
                folder.check(dataset.folder, dataset.labelled)
        adoption.adopt(PROJECT.resolve(), Path.cwd())
except (UserError, OSError) as error:
    raise WorkflowError(sentence_for(error) or str(error)) from None

DATASETS = list(settings.chosen)
PROTOCOLS = list(settings.split.ordered)  # the headline's first
PAPERS = ["random"] if "random" in PROTOCOLS else PROTOCOLS[:1]  # what the paper's figures are set beside
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
    # How servers are asked is no part of the result: a variable, where a param would make the listing out of date.
    lines += f"export SHEETLENS_FETCH={quoted(settings.fetch.model_dump_json())}; "
    # So is what showing or checking one picture may cost; where it decides what is read, it is a param.
    lines += f"export SHEETLENS_LIMITS={quoted(settings.images.limits.model_dump_json())}; "
    lines += f"export PYTHONPATH={quoted(SOURCE)} SHEETLENS_WORKFLOW_PID={os.getpid()}; "
    if not set(workflow.deployment_settings.deployment_method) & {
        DeploymentMethod.CONDA,
        DeploymentMethod.APPTAINER,
    }:
        lines += f'export PATH={quoted(Path(sys.executable).parent)}:"$PATH"; '
    return lines


shell.prefix(surroundings())
sigterm.install()
cancellation.install()


def from_kind(*kinds):
    """Wildcard constraint: the data sets whose sources are of these kinds (or none)."""
    return "|".join(of_kind(*kinds)) or "(?!)"


def of_kind(*kinds):
    """The data sets whose sources are of these kinds, see `SOURCES` of the config."""
    return [name for name, dataset in settings.chosen.items() if dataset.kind in kinds]


def source_modules(wildcards):
    """Input: the modules that a data set's listing hangs on; other sources' make nothing out of date."""
    source = settings.datasets[wildcards.dataset].source
    return modules("fetch.remote", f"fetch.sources.{source}", "fetch.records.specimen_records")


def every_original():
    """What stands for the originals of each data set whose source brings files.

    The folder itself if it is made in one go; if it is fetched, the checksums in it, because Snakemake deletes
    products before it runs a rule again, and files must not be fetched twice.
    """
    made = {"drawn": "results/{}/originals", "here": None}
    patterns = {
        name: made.get(dataset.kind, "results/{}/originals/SHA256SUMS") for name, dataset in settings.chosen.items()
    }
    return [pattern.format(name) for name, pattern in patterns.items() if pattern]


def streamed(name):
    """Whether the files of a data set are prepared as they arrive, and dropped."""
    return not settings.images.keep_originals and settings.datasets[name].kind in ("files", "specimens")


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
    named = definition and definition.weights and definition.weights.path
    return trackable([named]) if named else []


def backbone_option(wildcards):
    """Param: the option that says which network the features of a backbone are read with."""
    return ["--definition", to_json(settings.definition(BACKBONES[wildcards.features]).facts).decode()]


def backbone_weights_file(wildcards):
    """Input: the file here with the weights of a backbone, if there is one."""
    definition = settings.definition(BACKBONES[wildcards.features])
    return trackable([definition.weights.path]) if definition.weights.path else []


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
    named = list(getattr(dataset.source_settings, "here", ()))
    named += [dataset.records.path] if dataset.records else []
    return trackable(place for place in named if "://" not in place)


def records_option(wildcards):
    """Param: the option with the specimen records to join, or nothing."""
    records = settings.datasets[wildcards.dataset].records
    return ["--records", records.model_dump_json()] if records else []


def corrections_file(wildcards):
    """Input: the table of corrected labels, if there is one."""
    corrections = settings.datasets[wildcards.dataset].corrections
    return trackable([corrections.path]) if corrections else []


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


def readers_memory(readers, and_torch=0):
    """Resource: MB for a job with so many readers of photographs: common ones, and one as large as a file may be."""
    return more_each_attempt(250 * readers + settings.images.limits.megabytes + and_torch)


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
    findings = [name for name, each in AUDITS.items() if each == "dataset"]
    findings += [f"{name}-{protocol}" for name, each in AUDITS.items() if each == "protocol" for protocol in PROTOCOLS]
    return [f"results/{name}/audits/{finding}.json" for name in datasets for finding in findings]


def collection_model(wildcards):
    """Input: the package of the model that reads a collection, of the headline's protocol and the first seed."""
    name = settings.predict.collections[wildcards.collection].dataset
    return f"results/{name}/models/{settings.datasets[name].network}/{PROTOCOLS[0]}-{SEEDS[0]}/package.json"


def collection_table(wildcards):
    """Input: the table that lists a collection; nothing where it is a folder."""
    source = settings.predict.collections[wildcards.collection].input
    return [] if Path(source).is_dir() else trackable([source])


def collection_fingerprint(wildcards):
    """Param: a digest of names, sizes and times of the files of a collection's folder; none for a table."""
    source = Path(settings.predict.collections[wildcards.collection].input)
    return folder.digest(source) if source.is_dir() else ""


def hotspots_settings(wildcards):
    """The config's section `hotspots` of a collection."""
    return settings.predict.collections[wildcards.collection].hotspots


def collection_records(wildcards):
    """Input: the specimen records here that a collection's sheets are joined to, and what was tested and checked."""
    asked = hotspots_settings(wildcards)
    named = [records.path for records in asked.records if "://" not in records.path]
    return trackable([*named, *filter(None, (asked.checks, asked.checked, asked.measurements))])


def hotspots_options(wildcards):
    """Param: the options with the specimen records to join, and with what was tested and checked."""
    asked = hotspots_settings(wildcards)
    options = [word for one in asked.records for word in ("--records", one.model_dump_json())]
    for name in ("checks", "checked", "measurements"):
        if path := getattr(asked, name):
            options += [f"--{name}", path]
    return [*options, "--methods", Methods(asked.methods).model_dump_json()] if asked.methods else options


def begin_run():
    """Keep others from writing into these results, and see to it that jobs on a cluster are seen to end."""
    global results_lock  # held for as long as this process lives
    try:
        results_lock = runs.hold_results(settings)
        said = schedulers.watch_through_squeue(workflow.executor_settings)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    if said:
        print(said, file=sys.stderr)


def end_run():
    """Note what was made, and name what somebody else changed since the last run."""
    for sentence in runs.note_products():
        print(sentence, file=sys.stderr)


def named_inputs(wildcards, input):
    """Param: the options with what an audit reads, under the names of its inputs; modules are not read."""
    named = {name: [paths] if isinstance(paths, str) else paths for name, paths in input.items() if name != "modules"}
    return [word for name, paths in named.items() for path in paths for word in ("--input", name, path)]


def figures_of(group, endings=ENDINGS):
    """The files of a data set's figures that one job draws."""
    stems = [f"results/{{dataset}}/figures/figure-{name}" for name in catalogue.names(group)]
    return expand("{stem}.{ending}", stem=stems, ending=endings, allow_missing=True)


def figure_options(names):
    """Param: the options with the figures to draw."""
    return [word for name in names for word in ("--figure", name)]
