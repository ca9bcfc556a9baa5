# Split: divide the sheets into training, validation and test parts, afresh for each seed.
# Reads: the table of the image set, the manifest, the duplicates. Writes: results/{dataset}/splits/{protocol}-{seed}.tsv
# and, beside it, what straddles its parts (.leakage.json); which sheets belong together: groups.tsv.


rule split_sheets:
    """The paper's split; the same seed gives the same file on any machine."""
    input:
        index="results/{dataset}/images/index.parquet",
        manifest="results/{dataset}/manifest.parquet",
        modules=modules("split.parts"),
    output:
        split="results/{dataset}/splits/{protocol}-{seed}.tsv",
    log:
        "logs/split_sheets/{dataset}-{protocol}-{seed}.log",
    benchmark:
        "logs/split_sheets/{dataset}-{protocol}-{seed}.tsv"
    wildcard_constraints:
        protocol="random",
    conda:
        "../../envs/data.yaml"
    params:
        settings=settings.split.model_dump_json(include={"train", "validation", "test"}),
    message:
        "Splitting the sheets of {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "python -m sheetlens split"
        " --settings {params.settings:q}"
        " --index {input.index:q}"
        " --manifest {input.manifest:q}"
        " --seed {wildcards.seed}"
        " --output {output.split:q}"
        " 2>&1 | tee -i {log:q}"


rule split_groups:
    """What belongs together stays in one part; or one source is the test part."""
    input:
        index="results/{dataset}/images/index.parquet",
        manifest="results/{dataset}/manifest.parquet",
        duplicates="results/{dataset}/duplicates.parquet",
        modules=modules("split.grouped"),
    output:
        split="results/{dataset}/splits/{protocol}-{seed}.tsv",
    log:
        "logs/split_groups/{dataset}-{protocol}-{seed}.log",
    benchmark:
        "logs/split_groups/{dataset}-{protocol}-{seed}.tsv"
    wildcard_constraints:
        protocol="grouped|held_out_source",
    conda:
        "../../envs/evidence.yaml"
    params:
        settings=settings.split.model_dump_json(exclude={"protocols", "seeds"}),
    message:
        "Splitting the sheets of {wildcards.dataset}, {wildcards.protocol}, seed {wildcards.seed}"
    shell:
        "python -m sheetlens split-groups"
        " --settings {params.settings:q}"
        " --index {input.index:q}"
        " --manifest {input.manifest:q}"
        " --duplicates {input.duplicates:q}"
        " --protocol {wildcards.protocol}"
        " --seed {wildcards.seed}"
        " --output {output.split:q}"
        " 2>&1 | tee -i {log:q}"


rule split_relate:
    """Which sheets belong together, under any protocol: they are no independent cases."""
    input:
        index="results/{dataset}/images/index.parquet",
        manifest="results/{dataset}/manifest.parquet",
        duplicates="results/{dataset}/duplicates.parquet",
        modules=modules("split.groups"),
    output:
        groups="results/{dataset}/splits/groups.tsv",
    log:
        "logs/split_relate/{dataset}.log",
    benchmark:
        "logs/split_relate/{dataset}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        settings=settings.split.model_dump_json(include={"groups", "barcode_run"}),
    message:
        "Relating the sheets of {wildcards.dataset}"
    shell:
        "python -m sheetlens relate-sheets"
        " --settings {params.settings:q}"
        " --index {input.index:q}"
        " --manifest {input.manifest:q}"
        " --duplicates {input.duplicates:q}"
        " --output {output.groups:q}"
        " 2>&1 | tee -i {log:q}"


rule split_leakage:
    """How many test sheets have a relative in another part."""
    input:
        index="results/{dataset}/images/index.parquet",
        manifest="results/{dataset}/manifest.parquet",
        duplicates="results/{dataset}/duplicates.parquet",
        split="results/{dataset}/splits/{protocol}-{seed}.tsv",
        modules=modules("split.leakage"),
    output:
        leakage="results/{dataset}/splits/{protocol}-{seed}.leakage.json",
    log:
        "logs/split_leakage/{dataset}-{protocol}-{seed}.log",
    benchmark:
        "logs/split_leakage/{dataset}-{protocol}-{seed}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        settings=settings.split.model_dump_json(include={"barcode_run"}),
    message:
        "Measuring what straddles the {wildcards.protocol} split of {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "python -m sheetlens measure-leakage"
        " --settings {params.settings:q}"
        " --index {input.index:q}"
        " --manifest {input.manifest:q}"
        " --duplicates {input.duplicates:q}"
        " --protocol {wildcards.protocol}"
        " --seed {wildcards.seed}"
        " --split {input.split:q}"
        " --output {output.leakage:q}"
        " 2>&1 | tee -i {log:q}"
