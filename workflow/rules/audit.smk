# Audit: what may be wrong with the data or the models; each audit finds what is planted in the demo.
# Which there are: workflow/sheetlens/audit/__init__.py.
# Reads: image set, manifest, splits, predictions, evaluations. Writes: results/{dataset}/audits/.


rule audit_baselines:
    """Cheap models that cannot see the plant, trained on the same parts as the network."""
    input:
        index="results/{dataset}/images/index.parquet",
        manifest="results/{dataset}/manifest.parquet",
        pixels="results/{dataset}/images/pixels.npy",
        groups="results/{dataset}/splits/groups.tsv",
        splits=expand("results/{{dataset}}/splits/{protocol}-{seed}.tsv", protocol=PROTOCOLS, seed=SEEDS),
        modules=modules("audit.baselines.models"),
    output:
        expand("results/{{dataset}}/audits/baselines/{protocol}-{seed}.parquet", protocol=PROTOCOLS, seed=SEEDS),
    log:
        "logs/audit_baselines/{dataset}.log",
    benchmark:
        "logs/audit_baselines/{dataset}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        folder=subpath(output[0], parent=True),
    message:
        "Training the baselines on {wildcards.dataset}"
    shell:
        "python -m sheetlens audit baselines"
        " --index {input.index:q}"
        " --manifest {input.manifest:q}"
        " --pixels {input.pixels:q}"
        " --groups {input.groups:q}"
        " --folder {params.folder:q}"
        " {input.splits:q}"
        " 2>&1 | tee -i {log:q}"


rule audit_setup:
    """Does the way a sheet was photographed tell its class?"""
    input:
        baselines=expand(
            "results/{{dataset}}/audits/baselines/{protocol}-{seed}.parquet", protocol=PROTOCOLS[0], seed=SEEDS
        ),
        modules=modules("audit.setup"),
    output:
        finding="results/{dataset}/audits/setup.json",
    log:
        "logs/audit_setup/{dataset}.log",
    benchmark:
        "logs/audit_setup/{dataset}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        settings=settings.audit.model_dump_json(include={"level", "area"}),
        inputs=named_inputs,
    message:
        "Auditing the imaging set-up of {wildcards.dataset}"
    shell:
        "python -m sheetlens audit find setup"
        " --settings {params.settings:q}"
        " {params.inputs:q}"
        " --output {output.finding:q}"
        " 2>&1 | tee -i {log:q}"


rule audit_shortcuts:
    """The network's gain over each baseline on the same test sheets."""
    input:
        evaluation=lambda wildcards: every_evaluation([wildcards.dataset], [wildcards.protocol]),
        predictions=lambda wildcards: every_model("predictions.parquet", [wildcards.dataset], [wildcards.protocol]),
        baselines=expand("results/{{dataset}}/audits/baselines/{{protocol}}-{seed}.parquet", seed=SEEDS),
        modules=modules("audit.shortcuts"),
    output:
        finding="results/{dataset}/audits/shortcuts-{protocol}.json",
    log:
        "logs/audit_shortcuts/{dataset}-{protocol}.log",
    benchmark:
        "logs/audit_shortcuts/{dataset}-{protocol}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        settings=settings.audit.model_dump_json(include={"level"}),
        inputs=named_inputs,
    message:
        "Comparing the network with the baselines on {wildcards.dataset}, {wildcards.protocol} split"
    shell:
        "python -m sheetlens audit find shortcuts"
        " --settings {params.settings:q}"
        " {params.inputs:q}"
        " --output {output.finding:q}"
        " 2>&1 | tee -i {log:q}"


rule audit_regions:
    """Does a region that is no plant tell the network the class?"""
    input:
        package=lambda wildcards: every_model("package.json", [wildcards.dataset], PROTOCOLS[:1])[0],
        predictions=lambda wildcards: every_model("predictions.parquet", [wildcards.dataset], PROTOCOLS[:1])[0],
        evaluation=lambda wildcards: every_evaluation([wildcards.dataset], PROTOCOLS[:1]),
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        modules=modules("audit.regions"),
    output:
        finding="results/{dataset}/audits/regions.json",
    log:
        "logs/audit_regions/{dataset}.log",
    benchmark:
        "logs/audit_regions/{dataset}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: settings.train.threads
    resources:
        gpu=1,
        mem_mb=more_each_attempt(8000),
    params:
        inputs=named_inputs,
    message:
        "Reading the test sheets of {wildcards.dataset} with regions covered"
    shell:
        "python -m sheetlens audit find regions"
        " {params.inputs:q}"
        " --output {output.finding:q}"
        " 2>&1 | tee -i {log:q}"


rule audit_labels:
    """Labels that models contradict which never saw them: a list for a person to review."""
    input:
        predictions=lambda wildcards: every_model("predictions.parquet", [wildcards.dataset]),
        modules=modules("audit.labels"),
    output:
        finding="results/{dataset}/audits/labels.json",
        table="results/{dataset}/audits/labels.csv",
    log:
        "logs/audit_labels/{dataset}.log",
    benchmark:
        "logs/audit_labels/{dataset}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        settings=settings.audit.model_dump_json(include={"level"}),
        inputs=named_inputs,
    message:
        "Auditing the labels of {wildcards.dataset}"
    shell:
        "python -m sheetlens audit find labels"
        " --settings {params.settings:q}"
        " {params.inputs:q}"
        " --output {output.finding:q}"
        " 2>&1 | tee -i {log:q}"


rule audit_training:
    """Did every training learn, and did it finish learning?"""
    input:
        evaluation=lambda wildcards: every_evaluation([wildcards.dataset], [wildcards.protocol]),
        histories=lambda wildcards: every_model("history.csv", [wildcards.dataset], [wildcards.protocol]),
        models=lambda wildcards: every_model("model.json", [wildcards.dataset], [wildcards.protocol]),
        modules=modules("audit.training"),
    output:
        finding="results/{dataset}/audits/training-{protocol}.json",
    log:
        "logs/audit_training/{dataset}-{protocol}.log",
    benchmark:
        "logs/audit_training/{dataset}-{protocol}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        inputs=named_inputs,
    message:
        "Auditing the trainings on {wildcards.dataset}, {wildcards.protocol} split"
    shell:
        "python -m sheetlens audit find training"
        " {params.inputs:q}"
        " --output {output.finding:q}"
        " 2>&1 | tee -i {log:q}"


rule audit_maps:
    """Where on some test sheets of the first model the evidence lies."""
    input:
        weights=lambda wildcards: every_model("weights.safetensors", [wildcards.dataset])[0],
        model=lambda wildcards: every_model("model.json", [wildcards.dataset])[0],
        predictions=lambda wildcards: every_model("predictions.parquet", [wildcards.dataset])[0],
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        modules=modules("explain.attribution"),
    output:
        maps="results/{dataset}/audits/maps.parquet",
    log:
        "logs/audit_maps/{dataset}.log",
    benchmark:
        "logs/audit_maps/{dataset}.tsv"
    conda:
        "../../envs/torch.yaml"
    threads: settings.train.threads
    resources:
        gpu=1,
        mem_mb=more_each_attempt(8000),
    params:
        settings=settings.audit.model_dump_json(include={"saliency_sheets"}),
        folder=subpath(input.weights, parent=True),
    message:
        "Explaining test sheets of {wildcards.dataset}"
    shell:
        "python -m sheetlens audit maps"
        " --settings {params.settings:q}"
        " --model {params.folder:q}"
        " --pixels {input.pixels:q}"
        " --index {input.index:q}"
        " --output {output.maps:q}"
        " 2>&1 | tee -i {log:q}"


rule audit_saliency:
    """Does the evidence lie on plant and paper, or beside them?"""
    input:
        maps="results/{dataset}/audits/maps.parquet",
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        evaluation=lambda wildcards: every_evaluation([wildcards.dataset], PROTOCOLS[:1]),
        modules=modules("audit.saliency"),
    output:
        finding="results/{dataset}/audits/saliency.json",
        table="results/{dataset}/audits/saliency.csv",
    log:
        "logs/audit_saliency/{dataset}.log",
    benchmark:
        "logs/audit_saliency/{dataset}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        inputs=named_inputs,
    message:
        "Auditing the saliency on {wildcards.dataset}"
    shell:
        "python -m sheetlens audit find saliency"
        " {params.inputs:q}"
        " --output {output.finding:q}"
        " 2>&1 | tee -i {log:q}"


rule audit_duplicates:
    """Twins, and twins under two classes."""
    input:
        duplicates="results/{dataset}/duplicates.parquet",
        index="results/{dataset}/images/index.parquet",
        modules=modules("audit.duplicates"),
    output:
        finding="results/{dataset}/audits/duplicates.json",
    log:
        "logs/audit_duplicates/{dataset}.log",
    benchmark:
        "logs/audit_duplicates/{dataset}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        inputs=named_inputs,
    message:
        "Auditing the duplicates of {wildcards.dataset}"
    shell:
        "python -m sheetlens audit find duplicates"
        " {params.inputs:q}"
        " --output {output.finding:q}"
        " 2>&1 | tee -i {log:q}"


rule audit_leakage:
    """What straddles the parts of each split."""
    input:
        reports=expand("results/{{dataset}}/splits/{{protocol}}-{seed}.leakage.json", seed=SEEDS),
        modules=modules("audit.leakage"),
    output:
        finding="results/{dataset}/audits/leakage-{protocol}.json",
    log:
        "logs/audit_leakage/{dataset}-{protocol}.log",
    benchmark:
        "logs/audit_leakage/{dataset}-{protocol}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        inputs=named_inputs,
    message:
        "Auditing the leakage of {wildcards.dataset}, {wildcards.protocol} split"
    shell:
        "python -m sheetlens audit find leakage"
        " {params.inputs:q}"
        " --output {output.finding:q}"
        " 2>&1 | tee -i {log:q}"
