# Split: divide the sheets into training, validation and test parts, afresh for each seed.
# Reads: the table of the image set. Writes: results/{dataset}/splits/{protocol}-{seed}.tsv.


rule split_sheets:
    """The same seed gives the same file on any machine."""
    input:
        index="results/{dataset}/images/index.parquet",
        modules=modules("split"),
    output:
        split="results/{dataset}/splits/{protocol}-{seed}.tsv",
    log:
        "logs/split_sheets/{dataset}-{protocol}-{seed}.log",
    benchmark:
        "logs/split_sheets/{dataset}-{protocol}-{seed}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        settings=settings.split.model_dump_json(exclude={"seeds"}),
    message:
        "Splitting the sheets of {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        "python -m sheetlens split"
        " --settings {params.settings:q}"
        " --index {input.index:q}"
        " --seed {wildcards.seed}"
        " --output {output.split:q}"
        " 2>&1 | tee -i {log:q}"
