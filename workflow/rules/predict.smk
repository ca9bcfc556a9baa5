# Predict: trained models read the collections that the config names.
# Reads: a folder or a table of photographs, a packaged model, specimen records.
# Writes: results/collections/{collection}/.


rule predict_list:
    """List the photographs; they stay where they are."""
    input:
        files=collection_table,
        modules=modules("predict.input_list"),
    output:
        listing="results/collections/{collection}/list.parquet",
    log:
        "logs/predict_list/{collection}.log",
    benchmark:
        "logs/predict_list/{collection}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        source=lambda wildcards: settings.predict.collections[wildcards.collection].input,
        # Not used by the command: a photograph added, removed or changed makes the list out of date.
        fingerprint=collection_fingerprint,
    message:
        "Listing the sheets of {wildcards.collection}"
    shell:
        "python -m sheetlens predict-list" " --output {output.listing:q}" " {params.source:q}" " 2>&1 | tee -i {log:q}"


rule predict_part:
    """Read one part of the list; what a killed job has done stays beside its output."""
    input:
        package=collection_model,
        listing="results/collections/{collection}/list.parquet",
        modules=modules("predict.collection_predictions"),
    output:
        journal=temp("results/collections/{collection}/parts/{shard}.jsonl"),
    log:
        "logs/predict_part/{collection}-{shard}.log",
    benchmark:
        "logs/predict_part/{collection}-{shard}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: 16
    resources:
        gpu=1,
        mem_mb=readers_memory(16, and_torch=4000),
    params:
        model=subpath(input.package, parent=True),
        stem=subpath(output.journal, strip_suffix=".jsonl"),
        risk=settings.predict.risk,
        limits=settings.images.limits.model_dump_json(exclude={"megabytes_together"}),
        unguaranteed=["--unguaranteed"] if settings.predict.unguaranteed else [],
        parts=settings.predict.jobs,
    message:
        f"Reading the sheets of {{wildcards.collection}}, part {{wildcards.shard}} of {settings.predict.jobs}"
    shell:
        "python -m sheetlens predict-part"
        " --model {params.model:q}"
        " --list {input.listing:q}"
        " --risk {params.risk}"
        " --limits {params.limits:q}"
        " {params.unguaranteed:q}"
        " --part {wildcards.shard}"
        " --parts {params.parts}"
        " --stem {params.stem:q}"
        " --workers {threads}"
        " 2>&1 | tee -i {log:q}"


rule predict_merge:
    """Put the parts together: one row for each file, also for refused ones."""
    input:
        package=collection_model,
        listing="results/collections/{collection}/list.parquet",
        journals=expand(
            "results/collections/{{collection}}/parts/{shard}.jsonl",
            shard=range(settings.predict.jobs),
        ),
        modules=modules("predict.collection_predictions"),
    output:
        table="results/collections/{collection}/predictions.parquet",
        text="results/collections/{collection}/predictions.csv",
        summary="results/collections/{collection}/summary.json",
    log:
        "logs/predict_merge/{collection}.log",
    benchmark:
        "logs/predict_merge/{collection}.tsv"
    conda:
        "../../envs/torch.yaml"
    params:
        model=subpath(input.package, parent=True),
        risk=settings.predict.risk,
        limits=settings.images.limits.model_dump_json(exclude={"megabytes_together"}),
        unguaranteed=["--unguaranteed"] if settings.predict.unguaranteed else [],
        folder=subpath(output.table, parent=True),
        stems=lambda wildcards, input: [path.removesuffix(".jsonl") for path in input.journals],
    message:
        "Putting the answers for {wildcards.collection} together"
    shell:
        "python -m sheetlens predict-merge"
        " --model {params.model:q}"
        " --list {input.listing:q}"
        " --risk {params.risk}"
        " --limits {params.limits:q}"
        " {params.unguaranteed:q}"
        " --output {params.folder:q}"
        " {params.stems:q}"
        " 2>&1 | tee -i {log:q}"


rule predict_hotspots:
    """Where in the building the treated sheets are, and which cabinets to test first."""
    input:
        predictions="results/collections/{collection}/predictions.parquet",
        package=collection_model,
        records=collection_records,
        modules=modules("hotspots.ranking"),
        templates=package_files("pages/templates/*.html"),
    output:
        folder=directory("results/collections/{collection}/hotspots"),
    log:
        "logs/predict_hotspots/{collection}.log",
    benchmark:
        "logs/predict_hotspots/{collection}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        model=subpath(input.package, parent=True),
        label=lambda wildcards: hotspots_settings(wildcards).label,
        tests=lambda wildcards: hotspots_settings(wildcards).tests,
        records=hotspots_options,
    message:
        "Ranking the cabinets of {wildcards.collection}"
    shell:
        "python -m sheetlens hotspots"
        " --predictions {input.predictions:q}"
        " --model {params.model:q}"
        " --label {params.label:q}"
        " --tests {params.tests}"
        " {params.records:q}"
        " --output {output.folder:q}"
        " 2>&1 | tee -i {log:q}"
