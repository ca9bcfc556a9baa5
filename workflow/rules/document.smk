# Document: verdict, audits, model card, datasheet, checklist of each data set, and the research object.
# Reads: evaluations, models, findings, manifests. Writes: results/{dataset}/*.html, results/ro-crate-metadata.json.

DOCUMENTED = settings.model_dump_json(include={"study", "run", "datasets", "networks", "explore", "split"})


rule document_verdict:
    """Is the paper reproduced?"""
    input:
        evaluation=lambda wildcards: every_evaluation([wildcards.dataset], PAPERS),
        modules=modules("evaluate.verdict"),
    output:
        verdict="results/{dataset}/verdict.json",
    log:
        "logs/document_verdict/{dataset}.log",
    benchmark:
        "logs/document_verdict/{dataset}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        source=lambda wildcards: settings.datasets[wildcards.dataset].source,
    message:
        "Setting {wildcards.dataset} beside the paper"
    shell:
        "python -m sheetlens judge"
        " --source {params.source}"
        " --evaluation {input.evaluation:q}"
        " --output {output.verdict:q}"
        " 2>&1 | tee -i {log:q}"


rule document_pages:
    """Audits and verdict, model card, datasheet and REFORMS checklist."""
    input:
        evaluation=lambda wildcards: every_evaluation([wildcards.dataset], PROTOCOLS[:1]),
        models=lambda wildcards: every_model("model.json", [wildcards.dataset], PROTOCOLS[:1]),
        verdict="results/{dataset}/verdict.json",
        manifest="results/{dataset}/manifest.parquet",
        findings=lambda wildcards: every_finding([wildcards.dataset]),
        labels="results/{dataset}/audits/labels.csv",
        figures=expand(
            "results/{{dataset}}/figures/figure-{figure}.{ending}",
            figure=catalogue.names("audits"),
            ending=["svg", "png"],
        ),
        modules=modules("document.pages"),
        templates=package_files("pages/templates/*.html"),
    output:
        report(
            expand("results/{{dataset}}/{document}.html", document=DOCUMENTS),
            caption="../report/documents.rst",
            category="Documents",
            subcategory="{dataset}",
        ),
    log:
        "logs/document_pages/{dataset}.log",
    benchmark:
        "logs/document_pages/{dataset}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        settings=fixed(without_secrets(DOCUMENTED)),
        folder=subpath(output[0], parent=True),
    message:
        "Documenting {wildcards.dataset}"
    shell:
        "python -m sheetlens document"
        " --settings {params.settings:q}"
        " --evaluation {input.evaluation:q}"
        " --folder {params.folder:q}"
        " 2>&1 | tee -i {log:q}"


rule document_crate:
    """The run and its products as a Workflow Run RO-Crate."""
    input:
        products=[
            *expand(
                "results/{dataset}/{file}",
                dataset=DATASETS,
                file=["manifest.parquet", "images/index.parquet", "verdict.json"],
            ),
            *expand("results/{dataset}/{document}.html", dataset=DATASETS, document=DOCUMENTS),
            *expand(
                "results/{dataset}/splits/{protocol}-{seed}.tsv", dataset=DATASETS, protocol=PROTOCOLS, seed=SEEDS
            ),
            *[
                path
                for file in ("weights.safetensors", "model.json", "history.csv", "predictions.parquet")
                for path in every_model(file)
            ],
            *every_evaluation(),
            *every_finding(),
            *expand("results/figures/figure-{figure}.{ending}", figure=STUDY_FIGURES, ending=ENDINGS),
            "results/results.csv",
            "results/report.html",
        ],
        workflow=[path for path in sorted((SOURCE / "rules").glob("*.smk"))],
        modules=modules("document.crate"),
    output:
        metadata="results/ro-crate-metadata.json",
        workflow=directory("results/workflow"),
    log:
        "logs/document_crate.log",
    benchmark:
        "logs/document_crate.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        settings=fixed(without_secrets(settings.model_dump_json(exclude={"fetch"}))),  # how servers were asked is nobody's business
        source=fixed(os.path.relpath(PROJECT)),
    message:
        "Describing the run as a research object"
    shell:
        "python -m sheetlens crate"
        " --settings {params.settings:q}"
        " --source {params.source:q}"
        " {input.products:q}"
        " 2>&1 | tee -i {log:q}"
