# Train: one job, on one or several GPUs or on the CPU, for each data set and seed, then its predictions, and the package
# that `sheetlens predict` takes.
# Reads: the image set and a split. Writes: results/{dataset}/models/{network}/{protocol}-{seed}/.


rule train_network:
    """Train; checkpoint.pt in the same folder is no product but lets a killed training continue."""
    input:
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        split="results/{dataset}/splits/{protocol}-{seed}.tsv",
        weights=weights_file,
        modules=modules("train.training"),
    output:
        weights="results/{dataset}/models/{network}/{protocol}-{seed}/weights.safetensors",
        model="results/{dataset}/models/{network}/{protocol}-{seed}/model.json",
        history="results/{dataset}/models/{network}/{protocol}-{seed}/history.csv",
    log:
        "logs/train_network/{dataset}-{network}-{protocol}-{seed}.log",
    benchmark:
        "logs/train_network/{dataset}-{network}-{protocol}-{seed}.tsv"
    wildcard_constraints:
        network="|".join(name for name in NETWORKS if name not in HEADS) or "(?!)",
    conda:
        "../../envs/torch.yaml"
    threads: settings.train.threads * settings.train.gpus
    resources:
        gpu=settings.train.gpus,
        mem_mb=more_each_attempt(8000 * settings.train.gpus),
        runtime=more_each_attempt(240),
    params:
        settings=train_settings,
        definition=definition_option,
        launcher=training_launcher(),
        folder=subpath(output.weights, parent=True),
    message:
        "Training {wildcards.network} on {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "{params.launcher} -m sheetlens train"
        " --settings {params.settings:q}"
        " --network {wildcards.network}"
        " {params.definition:q}"
        " --seed {wildcards.seed}"
        " --pixels {input.pixels:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --folder {params.folder:q}"
        " 2>&1 | tee -i {log:q}"


rule train_predict:
    """Predict every sheet of the data set with the model of one seed."""
    input:
        weights="results/{dataset}/models/{network}/{protocol}-{seed}/weights.safetensors",
        model="results/{dataset}/models/{network}/{protocol}-{seed}/model.json",
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        split="results/{dataset}/splits/{protocol}-{seed}.tsv",
        groups="results/{dataset}/splits/groups.tsv",
        features=features_of_network,
        modules=modules("predict.inference"),
    output:
        predictions="results/{dataset}/models/{network}/{protocol}-{seed}/predictions.parquet",
        typical="results/{dataset}/models/{network}/{protocol}-{seed}/typical.safetensors",
    log:
        "logs/train_predict/{dataset}-{network}-{protocol}-{seed}.log",
    benchmark:
        "logs/train_predict/{dataset}-{network}-{protocol}-{seed}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: settings.train.threads
    resources:
        gpu=1,
        mem_mb=more_each_attempt(8000),
    params:
        folder=subpath(input.weights, parent=True),
        features=features_option,
    message:
        "Reading the sheets of {wildcards.dataset} with {wildcards.network}, seed {wildcards.seed}"
    shell:
        "python -m sheetlens train-predict"
        " --model {params.folder:q}"
        " --pixels {input.pixels:q}"
        " --index {input.index:q}"
        " --split {input.split:q}"
        " --groups {input.groups:q}"
        " {params.features:q}"
        " --output {output.predictions:q}"
        " --typical {output.typical:q}"
        " 2>&1 | tee -i {log:q}"


rule train_package:
    """Temperature, thresholds and limit from the validation part: a whole that can be handed on."""
    input:
        weights="results/{dataset}/models/{network}/{protocol}-{seed}/weights.safetensors",
        model="results/{dataset}/models/{network}/{protocol}-{seed}/model.json",
        typical="results/{dataset}/models/{network}/{protocol}-{seed}/typical.safetensors",
        predictions="results/{dataset}/models/{network}/{protocol}-{seed}/predictions.parquet",
        modules=modules("predict.packaging"),
    output:
        package="results/{dataset}/models/{network}/{protocol}-{seed}/package.json",
    log:
        "logs/train_package/{dataset}-{network}-{protocol}-{seed}.log",
    benchmark:
        "logs/train_package/{dataset}-{network}-{protocol}-{seed}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        title=lambda wildcards: settings.datasets[wildcards.dataset].title,
        evaluate=settings.evaluate.model_dump_json(include={"risks", "guarantee", "missed"}),
        settings=settings.predict.model_dump_json(include={"unlike"}),
        folder=subpath(output.package, parent=True),
    message:
        "Packaging {wildcards.network} of {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "python -m sheetlens package"
        " --dataset {wildcards.dataset}"
        " --title {params.title:q}"
        " --evaluate {params.evaluate:q}"
        " --settings {params.settings:q}"
        " --model {params.folder:q}"
        " 2>&1 | tee -i {log:q}"
