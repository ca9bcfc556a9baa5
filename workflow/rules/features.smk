# Features: what a pretrained backbone sees of each sheet, computed once for an image set, and the heads that read it.
# Reads: the image set, and for a head a split, the manifest and the duplicates.
# Writes: results/{dataset}/features/ and, for networks whose head alone is trained by regression, the model folder.


rule features_part:
    """Compute one part; what a killed job has done stays beside its output."""
    input:
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        weights=backbone_weights_file,
        modules=modules("features.product"),
    output:
        part=temp("results/{dataset}/features/{features}/{shard}.features"),
        facts=temp("results/{dataset}/features/{features}/{shard}.features.json"),
    log:
        "logs/features_part/{dataset}-{features}-{shard}.log",
    benchmark:
        "logs/features_part/{dataset}-{features}-{shard}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: settings.train.threads
    resources:
        gpu=1,
        mem_mb=more_each_attempt(4000),
    params:
        definition=backbone_option,
        settings=settings.train.model_dump_json(include={"device", "precision", "threads"}),
        parts=settings.features.jobs,
    message:
        f"Computing the features of {{wildcards.dataset}}, part {{wildcards.shard}} of {settings.features.jobs}"
    shell:
        "python -m sheetlens features compute"
        " {params.definition:q}"
        " --settings {params.settings:q}"
        " --pixels {input.pixels:q}"
        " --index {input.index:q}"
        " --part {wildcards.shard}"
        " --parts {params.parts}"
        " --output {output.part:q}"
        " 2>&1 | tee -i {log:q}"


rule features_join:
    """Put the parts together: a row for each row of the image set."""
    input:
        parts=expand("results/{{dataset}}/features/{{features}}/{shard}.features", shard=range(settings.features.jobs)),
        facts=expand(
            "results/{{dataset}}/features/{{features}}/{shard}.features.json", shard=range(settings.features.jobs)
        ),
        index="results/{dataset}/images/index.parquet",
        modules=modules("features.product"),
    output:
        features="results/{dataset}/features/{features}.npy",
        facts="results/{dataset}/features/{features}.json",
    log:
        "logs/features_join/{dataset}-{features}.log",
    benchmark:
        "logs/features_join/{dataset}-{features}.tsv"
    conda:
        "../../envs/torch.yaml"
    message:
        "Putting the features of {wildcards.dataset} together"
    shell:
        "python -m sheetlens features join"
        " --index {input.index:q}"
        " --output {output.features:q}"
        " {input.parts:q}"
        " 2>&1 | tee -i {log:q}"


rule features_head:
    """Fit the head; what belongs together stays together when its strength is chosen."""
    input:
        features=features_of_network,
        index="results/{dataset}/images/index.parquet",
        manifest="results/{dataset}/manifest.parquet",
        duplicates="results/{dataset}/duplicates.parquet",
        split="results/{dataset}/splits/{protocol}-{seed}.tsv",
        weights=weights_file,
        modules=modules("features.training"),
    output:
        weights="results/{dataset}/models/{network}/{protocol}-{seed}/weights.safetensors",
        model="results/{dataset}/models/{network}/{protocol}-{seed}/model.json",
        history="results/{dataset}/models/{network}/{protocol}-{seed}/history.csv",
    log:
        "logs/features_head/{dataset}-{network}-{protocol}-{seed}.log",
    benchmark:
        "logs/features_head/{dataset}-{network}-{protocol}-{seed}.tsv"
    wildcard_constraints:
        network="|".join(HEADS) or "(?!)",
    conda:
        "../../envs/torch.yaml"
    params:
        settings=train_settings,
        grouping=settings.split.model_dump_json(include={"groups", "barcode_run"}),
        definition=definition_option,
        folder=subpath(output.weights, parent=True),
    message:
        "Training the head of {wildcards.network} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "python -m sheetlens features head"
        " --settings {params.settings:q}"
        " --grouping {params.grouping:q}"
        " --network {wildcards.network}"
        " {params.definition:q}"
        " --seed {wildcards.seed}"
        " --features {input.features:q}"
        " --index {input.index:q}"
        " --manifest {input.manifest:q}"
        " --duplicates {input.duplicates:q}"
        " --split {input.split:q}"
        " --folder {params.folder:q}"
        " 2>&1 | tee -i {log:q}"
