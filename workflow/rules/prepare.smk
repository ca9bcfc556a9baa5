# Prepare: check every photograph, bring it to 256x256 RGB, pack all of a data set into one array.
# Reads: the listing and the originals it names. Writes: results/{dataset}/images/ and the manifest.


rule prepare_pack:
    """Decode, resize and pack; a bad file stays in the manifest with its reason."""
    input:
        listing="results/{dataset}/listing.parquet",
        modules=modules("pack"),
    output:
        pixels="results/{dataset}/images/pixels.npy",
        index="results/{dataset}/images/index.parquet",
        manifest="results/{dataset}/manifest.parquet",
    log:
        "logs/prepare_pack/{dataset}.log",
    benchmark:
        "logs/prepare_pack/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 16
    params:
        settings=settings.images.model_dump_json(),
    message:
        "Bringing the sheets of {wildcards.dataset} to 256x256 pixels"
    shell:
        "python -m sheetlens prepare"
        " --settings {params.settings:q}"
        " --listing {input.listing:q}"
        " --pixels {output.pixels:q}"
        " --index {output.index:q}"
        " --manifest {output.manifest:q}"
        " --workers {threads}"
        " 2>&1 | tee -i {log:q}"
