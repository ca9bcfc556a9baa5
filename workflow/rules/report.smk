# Report: one page for a person who has not read the paper.
# Reads: everything. Writes: results/report.html, results/{dataset}/quality.html, and the credits of the pictures in results/{dataset}/credits.csv.


rule report_credits:
    """Licence, rights holder, creator and address of each picture used."""
    input:
        manifest="results/{dataset}/manifest.parquet",
        modules=modules("report.credits"),
    output:
        credits="results/{dataset}/credits.csv",
    log:
        "logs/report_credits/{dataset}.log",
    benchmark:
        "logs/report_credits/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    message:
        "Crediting the pictures of {wildcards.dataset}"
    shell:
        "python -m sheetlens credit"
        " --manifest {input.manifest:q}"
        " --output {output.credits:q}"
        " 2>&1 | tee -i {log:q}"


rule report_quality:
    """What came in, what was refused and why, sheets of each class at random."""
    input:
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        manifest="results/{dataset}/manifest.parquet",
        modules=modules("report.quality"),
        templates=package_files("pages/templates/*.html"),
    output:
        page=report(
            "results/{dataset}/quality.html",
            caption="../report/quality.rst",
            category="Documents",
            subcategory="{dataset}",
        ),
    log:
        "logs/report_quality/{dataset}.log",
    benchmark:
        "logs/report_quality/{dataset}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        title=lambda wildcards: settings.datasets[wildcards.dataset].title,
    message:
        "Showing what came in of {wildcards.dataset}"
    shell:
        "python -m sheetlens quality"
        " --title {params.title:q}"
        " --pixels {input.pixels:q}"
        " --index {input.index:q}"
        " --manifest {input.manifest:q}"
        " --output {output.page:q}"
        " 2>&1 | tee -i {log:q}"


rule report_write:
    """The report names the file that each number comes from."""
    input:
        evaluations=every_evaluation(),
        models=[every_model(file) for file in ("model.json", "history.csv", "predictions.parquet")],
        splits=expand(
            "results/{dataset}/splits/{protocol}-{seed}{ending}",
            ending=[".tsv", ".leakage.json"],
            dataset=DATASETS,
            protocol=PROTOCOLS,
            seed=SEEDS,
        ),
        manifests=expand("results/{dataset}/manifest.parquet", dataset=DATASETS),
        pixels=expand("results/{dataset}/images/pixels.npy", dataset=DATASETS),
        indexes=expand("results/{dataset}/images/index.parquet", dataset=DATASETS),
        credits=expand("results/{dataset}/credits.csv", dataset=DATASETS),
        verdicts=expand("results/{dataset}/verdict.json", dataset=DATASETS),
        findings=every_finding(),
        table="results/results.csv",
        figures=expand("results/figures/figure-{figure}.{ending}", figure=STUDY_FIGURES, ending=ENDINGS),
        curves=expand(
            "results/{dataset}/figures/figure-{figure}.{ending}",
            dataset=DATASETS,
            figure=["history", *catalogue.names("uncertainty")],
            ending=ENDINGS,
        ),
        modules=modules("report.report"),
        templates=package_files("pages/templates/*.html"),
    output:
        page=report("results/report.html", caption="../report/report.rst", category="Results"),
    log:
        "logs/report_write.log",
    benchmark:
        "logs/report_write.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        study=fixed(settings.study),
    message:
        "Writing the report"
    shell:
        "python -m sheetlens report"
        " --study {params.study}"
        " --output {output.page:q}"
        " {input.evaluations:q}"
        " 2>&1 | tee -i {log:q}"
