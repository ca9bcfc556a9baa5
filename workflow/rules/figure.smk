# Figure: the paper's Figures 1 and 2, for each data set and for all together, the training history,
# and what is added to the paper: error against coverage, reliability, spread over seeds and protocols.
# Reads: evaluations, predictions, manifest, image set. Writes: results/{dataset}/figures/, results/figures/.


rule figure_dataset:
    """Figure 1 (sample sheets), Figure 2 (confusion, probabilities, rejection) and the history of one data set."""
    input:
        evaluation=lambda wildcards: every_evaluation([wildcards.dataset], PAPERS),
        predictions=lambda wildcards: every_model("predictions.parquet", [wildcards.dataset], PAPERS),
        histories=lambda wildcards: every_model("history.csv", [wildcards.dataset], PAPERS),
        manifest="results/{dataset}/manifest.parquet",
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        modules=modules("figure.paper"),
    output:
        expand("results/{{dataset}}/figures/figure-{figure}.{ending}", figure=DATASET_FIGURES, ending=ENDINGS),
    log:
        "logs/figure_dataset/{dataset}.log",
    benchmark:
        "logs/figure_dataset/{dataset}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        figures=[word for figure in DATASET_FIGURES for word in ("--figure", figure)],
        folder=subpath(output[0], parent=True),
        dots_per_inch=settings.figures.dots_per_inch,
    message:
        "Drawing the paper's figures of {wildcards.dataset}"
    shell:
        "python -m sheetlens draw"
        " {params.figures}"
        " --folder {params.folder:q}"
        " --dots-per-inch {params.dots_per_inch}"
        " {input.evaluation:q}"
        " 2>&1 | tee -i {log:q}"


rule figure_evidence:
    """Error against coverage, reliability, and the spread over seeds and protocols, of one data set."""
    input:
        evaluations=lambda wildcards: every_evaluation([wildcards.dataset]),
        modules=modules("figure.uncertainty"),
    output:
        expand("results/{{dataset}}/figures/figure-{figure}.{ending}", figure=EVIDENCE_FIGURES, ending=ENDINGS),
    log:
        "logs/figure_evidence/{dataset}.log",
    benchmark:
        "logs/figure_evidence/{dataset}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        figures=[word for figure in EVIDENCE_FIGURES for word in ("--figure", figure)],
        folder=subpath(output[0], parent=True),
        dots_per_inch=settings.figures.dots_per_inch,
    message:
        "Drawing the evidence on {wildcards.dataset}"
    shell:
        "python -m sheetlens draw"
        " {params.figures}"
        " --folder {params.folder:q}"
        " --dots-per-inch {params.dots_per_inch}"
        " {input.evaluations:q}"
        " 2>&1 | tee -i {log:q}"


rule figure_study:
    """Figure 1 a-d and Figure 2 a-f: all data sets in the paper's arrangement."""
    input:
        evaluations=every_evaluation(protocols=PAPERS),
        predictions=every_model("predictions.parquet", protocols=PAPERS),
        manifests=expand("results/{dataset}/manifest.parquet", dataset=DATASETS),
        pixels=expand("results/{dataset}/images/pixels.npy", dataset=DATASETS),
        indexes=expand("results/{dataset}/images/index.parquet", dataset=DATASETS),
        modules=modules("figure.paper"),
    output:
        report(
            expand("results/figures/figure-{figure}.svg", figure=STUDY_FIGURES),
            caption="../report/figure.rst",
            category="Figures",
        ),
        expand("results/figures/figure-{figure}.{ending}", figure=STUDY_FIGURES, ending=ENDINGS[1:]),
    log:
        "logs/figure_study.log",
    benchmark:
        "logs/figure_study.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        figures=[word for figure in STUDY_FIGURES for word in ("--figure", figure)],
        folder=subpath(output[0], parent=True),
        dots_per_inch=settings.figures.dots_per_inch,
    message:
        "Drawing the paper's figures of all data sets"
    shell:
        "python -m sheetlens draw"
        " {params.figures}"
        " --folder {params.folder:q}"
        " --dots-per-inch {params.dots_per_inch}"
        " {input.evaluations:q}"
        " 2>&1 | tee -i {log:q}"
