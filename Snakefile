# Sheetlens: from photographed herbarium sheets to the figures of Schuettpelz et al. 2017.
#   snakemake --cores all --use-conda                      the paper
#   snakemake --cores all --configfile config/demo.yaml    the demo (make demo)

from snakemake.utils import min_version

min_version("9.27")  # what the tests run with


configfile: f"{workflow.current_basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/duplicates.smk"
include: "workflow/rules/split.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/explore.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/figure.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/document.smk"


report: "workflow/report/workflow.rst"


# One training at a time on this machine (the default profile says gpu: 1), as many as it likes on a cluster.
resource_scopes:
    gpu="local",


# Every product is named here: after a failure, one that is not would count as done though it is stale.
rule all:
    input:
        every_original(),
        expand("results/{dataset}/listing.parquet", dataset=DATASETS),
        expand(
            "results/{dataset}/citation.json",
            dataset=of_kind("specimens"),
        ),
        expand("results/{dataset}/manifest.parquet", dataset=DATASETS),
        expand("results/{dataset}/images/pixels.npy", dataset=DATASETS),
        expand("results/{dataset}/images/index.parquet", dataset=DATASETS),
        expand("results/{dataset}/duplicates.parquet", dataset=DATASETS),
        expand(
            "results/{dataset}/splits/{protocol}-{seed}{ending}",
            ending=[".tsv", ".leakage.json"],
            dataset=DATASETS,
            protocol=PROTOCOLS,
            seed=SEEDS,
        ),
        every_features(),
        every_model("weights.safetensors"),
        every_model("model.json"),
        every_model("history.csv"),
        every_model("predictions.parquet"),
        every_model("typical.safetensors"),
        every_model("package.json"),
        expand(
            "results/collections/{collection}/{product}",
            collection=COLLECTIONS,
            product=["predictions.parquet", "predictions.csv", "summary.json"],
        ),
        expand("results/collections/{collection}/hotspots", collection=RANKED),
        every_evaluation(),
        expand(
            "results/{dataset}/audits/baselines/{protocol}-{seed}.parquet",
            dataset=DATASETS,
            protocol=PROTOCOLS,
            seed=SEEDS,
        ),
        every_finding(),
        expand(
            "results/{dataset}/audits/{table}", dataset=DATASETS, table=["labels.csv", "maps.parquet", "saliency.csv"]
        ),
        expand(
            "results/{dataset}/figures/figure-{figure}.{ending}",
            dataset=DATASETS,
            figure=catalogue.FIGURES,
            ending=ENDINGS,
        ),
        expand("results/figures/figure-{figure}.{ending}", figure=STUDY_FIGURES, ending=ENDINGS),
        expand("results/{dataset}/credits.csv", dataset=DATASETS),
        "results/results.csv",
        "results/metrics.json",
        expand("results/{dataset}/quality.html", dataset=DATASETS),
        "results/report.html",
        expand("results/{dataset}/verdict.json", dataset=DATASETS),
        expand("results/{dataset}/{document}.html", dataset=DATASETS, document=DOCUMENTS),
        "results/ro-crate-metadata.json",
        "results/workflow",
    localrule: True
    message:
        "Every product is there"


# Only on request: other networks beside the paper's, see `explore` in docs/reference/configuration.md.
rule explore:
    input:
        every_leaderboard,
    localrule: True
    message:
        "The networks are ranked in results/{{dataset}}/explore/"


onstart:
    begin_run()


onsuccess:
    end_run()
    if Path("results/report.html").exists():
        print("Done. The report is results/report.html, the figures are in results/figures/.", file=sys.stderr)


onerror:
    print(f"Stopped: {schedulers.why_stopped(BEGAN, Path())}. The same command continues from here.", file=sys.stderr)
