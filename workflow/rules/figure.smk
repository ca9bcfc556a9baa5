# Figure: the paper's Figures 1 and 2, for each data set and for all together, the training history, what is added
# to the paper (error against coverage, reliability, spread over seeds and protocols), and what the audits found.
# Which there are, and which function draws each: workflow/sheetlens/figure/catalogue.py.
# Reads: evaluations, predictions, manifest, image set, findings. Writes: results/{dataset}/figures/, results/figures/.


rule figure_dataset:
    """Figure 1 (sample sheets), Figure 2 (confusion, probabilities, rejection) and the history of one data set."""
    input:
        evaluation=lambda wildcards: every_evaluation([wildcards.dataset], PAPERS),
        predictions=lambda wildcards: every_model("predictions.parquet", [wildcards.dataset], PAPERS),
        histories=lambda wildcards: every_model("history.csv", [wildcards.dataset], PAPERS),
        manifest="results/{dataset}/manifest.parquet",
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        modules=modules(*catalogue.modules("paper")),
    output:
        report(
            figures_of("paper", ["svg"]),
            caption="../report/figures_paper.rst",
            category="Figures",
            subcategory="{dataset}",
        ),
        figures_of("paper", ENDINGS[1:]),
    log:
        "logs/figure_dataset/{dataset}.log",
    benchmark:
        "logs/figure_dataset/{dataset}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        figures=figure_options(catalogue.names("paper")),
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


rule figure_uncertainty:
    """Error against coverage, reliability, and the spread over seeds and protocols, of one data set."""
    input:
        evaluations=lambda wildcards: every_evaluation([wildcards.dataset]),
        modules=modules(*catalogue.modules("uncertainty")),
    output:
        report(
            figures_of("uncertainty", ["svg"]),
            caption="../report/figures_uncertainty.rst",
            category="Figures",
            subcategory="{dataset}",
        ),
        figures_of("uncertainty", ENDINGS[1:]),
    log:
        "logs/figure_uncertainty/{dataset}.log",
    benchmark:
        "logs/figure_uncertainty/{dataset}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        figures=figure_options(catalogue.names("uncertainty")),
        folder=subpath(output[0], parent=True),
        dots_per_inch=settings.figures.dots_per_inch,
    message:
        "Drawing the uncertainty of {wildcards.dataset}"
    shell:
        "python -m sheetlens draw"
        " {params.figures}"
        " --folder {params.folder:q}"
        " --dots-per-inch {params.dots_per_inch}"
        " {input.evaluations:q}"
        " 2>&1 | tee -i {log:q}"


rule figure_audits:
    """Shortcut bars, saliency by position, the surest mistakes, and the sheets nearest 0.5."""
    input:
        evaluation=lambda wildcards: every_evaluation([wildcards.dataset], PROTOCOLS[:1]),
        predictions=lambda wildcards: every_model("predictions.parquet", [wildcards.dataset], PROTOCOLS[:1]),
        findings=[
            f"results/{{dataset}}/audits/{finding}.json"
            for finding in ("setup", "saliency", f"shortcuts-{PROTOCOLS[0]}")
        ],
        maps="results/{dataset}/audits/maps.parquet",
        table="results/{dataset}/audits/saliency.csv",
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        modules=modules(*catalogue.modules("audits")),
    output:
        report(
            figures_of("audits", ["svg"]),
            caption="../report/figures_audits.rst",
            category="Figures",
            subcategory="{dataset}",
        ),
        figures_of("audits", ENDINGS[1:]),
    log:
        "logs/figure_audits/{dataset}.log",
    benchmark:
        "logs/figure_audits/{dataset}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        figures=figure_options(catalogue.names("audits")),
        folder=subpath(output[0], parent=True),
        dots_per_inch=settings.figures.dots_per_inch,
    message:
        "Drawing the audits of {wildcards.dataset}"
    shell:
        "python -m sheetlens draw"
        " {params.figures}"
        " --folder {params.folder:q}"
        " --dots-per-inch {params.dots_per_inch}"
        " {input.evaluation:q}"
        " 2>&1 | tee -i {log:q}"


rule figure_study:
    """Figure 1 a-d and Figure 2 a-f: all data sets in the paper's arrangement."""
    input:
        evaluations=every_evaluation(protocols=PAPERS),
        predictions=every_model("predictions.parquet", protocols=PAPERS),
        manifests=expand("results/{dataset}/manifest.parquet", dataset=DATASETS),
        pixels=expand("results/{dataset}/images/pixels.npy", dataset=DATASETS),
        indexes=expand("results/{dataset}/images/index.parquet", dataset=DATASETS),
        modules=modules(*catalogue.modules("paper")),
    output:
        report(
            expand("results/figures/figure-{figure}.svg", figure=STUDY_FIGURES),
            caption="../report/figure.rst",
            category="Figures",
            subcategory="all data sets",
        ),
        expand("results/figures/figure-{figure}.{ending}", figure=STUDY_FIGURES, ending=ENDINGS[1:]),
    log:
        "logs/figure_study.log",
    benchmark:
        "logs/figure_study.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        figures=figure_options(STUDY_FIGURES),
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
