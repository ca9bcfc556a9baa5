# Duplicates: sheets that are in a data set twice, exactly or nearly, within and across classes.
# Reads: the image set. Writes: results/{dataset}/duplicates.parquet.


rule duplicates_find:
    """Same file, same pixels, or another photograph of the same sheet; no pair is compared that need not be."""
    input:
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        modules=modules("duplicates.search"),
    output:
        duplicates="results/{dataset}/duplicates.parquet",
    log:
        "logs/duplicates_find/{dataset}.log",
    benchmark:
        "logs/duplicates_find/{dataset}.tsv"
    conda:
        "../../envs/evidence.yaml"
    message:
        "Looking for duplicates in {wildcards.dataset}"
    shell:
        "python -m sheetlens find-duplicates"
        " --pixels {input.pixels:q}"
        " --index {input.index:q}"
        " --output {output.duplicates:q}"
        " 2>&1 | tee -i {log:q}"
