# Figure: the paper's Figures 1 and 2, for each data set and for all together, the training history,
# and what is added to the paper: error against coverage, reliability, spread over seeds and protocols.
# Reads: evaluations, predictions, manifest, image set. Writes: results/{dataset}/figures/, results/figures/.


rule figure_dataset:
    """Figure 1 (sample sheets), Figure 2 (confusion, probabilities, rejection) or the history of one data set."""
    input:
        evaluation=lambda wildcards: every_evaluation([wildcards.dataset], PROTOCOLS[:1]),
        predictions=lambda wildcards: every_model("predictions.parquet", [wildcards.dataset], PROTOCOLS[:1]),
        histories=lambda wildcards: every_model("history.csv", [wildcards.dataset], PROTOCOLS[:1]),
        manifest="results/{dataset}/manifest.parquet",
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        modules=modules("figures"),
    output:
        multiext(
            "results/{dataset}/figures/figure-{figure}",
            svg=".svg",
            png=".png",
            pdf=".pdf",
            csv=".csv",
        ),
    log:
        "logs/figure_dataset/{dataset}-{figure}.log",
    benchmark:
        "logs/figure_dataset/{dataset}-{figure}.tsv"
    wildcard_constraints:
        figure="1|2|history",
    conda:
        "../../envs/figures.yaml"
    params:
        stem=lambda wildcards, output: output.svg.removesuffix(".svg"),
        dots_per_inch=settings.figures.dots_per_inch,
    message:
        "Drawing figure {wildcards.figure} of {wildcards.dataset}"
    shell:
        "python -m sheetlens draw"
        " --figure {wildcards.figure}"
        " --stem {params.stem:q}"
        " --dots-per-inch {params.dots_per_inch}"
        " {input.evaluation:q}"
        " 2>&1 | tee -i {log:q}"


rule figure_evidence:
    """Error against coverage, reliability, or the spread over seeds and protocols, of one data set."""
    input:
        evaluations=lambda wildcards: every_evaluation([wildcards.dataset]),
        modules=modules("evidence_figures"),
    output:
        multiext(
            "results/{dataset}/figures/figure-{figure}",
            svg=".svg",
            png=".png",
            pdf=".pdf",
            csv=".csv",
        ),
    log:
        "logs/figure_evidence/{dataset}-{figure}.log",
    benchmark:
        "logs/figure_evidence/{dataset}-{figure}.tsv"
    wildcard_constraints:
        figure="|".join(EVIDENCE_FIGURES),
    conda:
        "../../envs/figures.yaml"
    params:
        stem=lambda wildcards, output: output.svg.removesuffix(".svg"),
        dots_per_inch=settings.figures.dots_per_inch,
    message:
        "Drawing figure {wildcards.figure} of {wildcards.dataset}"
    shell:
        "python -m sheetlens draw"
        " --figure {wildcards.figure}"
        " --stem {params.stem:q}"
        " --dots-per-inch {params.dots_per_inch}"
        " {input.evaluations:q}"
        " 2>&1 | tee -i {log:q}"


rule figure_study:
    """Figure 1 a-d and Figure 2 a-f: all data sets in the paper's arrangement."""
    input:
        evaluations=every_evaluation(protocols=PROTOCOLS[:1]),
        predictions=every_model("predictions.parquet", protocols=PROTOCOLS[:1]),
        manifests=expand("results/{dataset}/manifest.parquet", dataset=DATASETS),
        pixels=expand("results/{dataset}/images/pixels.npy", dataset=DATASETS),
        indexes=expand("results/{dataset}/images/index.parquet", dataset=DATASETS),
        modules=modules("figures"),
    output:
        report(
            "results/figures/figure-{figure}.svg",
            caption="../report/figure.rst",
            category="Figures",
        ),
        png="results/figures/figure-{figure}.png",
        pdf="results/figures/figure-{figure}.pdf",
        csv="results/figures/figure-{figure}.csv",
    log:
        "logs/figure_study/{figure}.log",
    benchmark:
        "logs/figure_study/{figure}.tsv"
    wildcard_constraints:
        figure="1|2",
    conda:
        "../../envs/figures.yaml"
    params:
        stem=lambda wildcards, output: output.png.removesuffix(".png"),
        dots_per_inch=settings.figures.dots_per_inch,
    message:
        "Drawing Figure {wildcards.figure}"
    shell:
        "python -m sheetlens draw"
        " --figure {wildcards.figure}"
        " --stem {params.stem:q}"
        " --dots-per-inch {params.dots_per_inch}"
        " {input.evaluations:q}"
        " 2>&1 | tee -i {log:q}"
