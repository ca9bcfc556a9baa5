# Prepare: check every photograph, bring it to 256x256 RGB, pack all of a data set into one array.
# Reads: the listing, the originals it names, corrections of labels. Writes: results/{dataset}/images/ and the manifest.


rule prepare_shard:
    """Decode and resize one part of the listing; what a killed job has done stays beside its outputs."""
    input:
        listing="results/{dataset}/listing.parquet",
        modules=modules("prepare.shards"),
    output:
        journal=temp("results/{dataset}/shards/{shard}.jsonl"),
        pixels=temp("results/{dataset}/shards/{shard}.pixels"),
    log:
        "logs/prepare_shard/{dataset}-{shard}.log",
    benchmark:
        "logs/prepare_shard/{dataset}-{shard}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 16
    resources:
        mem_mb=readers_memory(16),
    params:
        settings=settings.images.model_dump_json(),
        shard=subpath(output.pixels, strip_suffix=".pixels"),
    message:
        f"Bringing the sheets of {{wildcards.dataset}} to 256x256 pixels, part {{wildcards.shard}} of {settings.images.jobs}"
    shell:
        "python -m sheetlens prepare-shard"
        " --settings {params.settings:q}"
        " --listing {input.listing:q}"
        " --part {wildcards.shard}"
        " --shard {params.shard:q}"
        " --workers {threads}"
        " 2>&1 | tee -i {log:q}"


rule prepare_pack:
    """Put the shards together in the listing's order; a bad file stays in the manifest with its reason."""
    input:
        listing="results/{dataset}/listing.parquet",
        journals=every_shard(".jsonl"),
        pixels=every_shard(".pixels"),
        corrections=corrections_file,
        modules=modules("prepare.assemble"),
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
    params:
        settings=settings.images.model_dump_json(),
        corrections=corrections_option,
        shards=lambda wildcards, input: (
            [path.removesuffix(".pixels") for path in input.pixels] or [f"results/{wildcards.dataset}/shards"]
        ),
    message:
        "Packing the sheets of {wildcards.dataset}"
    shell:
        "python -m sheetlens prepare-pack"
        " --settings {params.settings:q}"
        " --listing {input.listing:q}"
        " --pixels {output.pixels:q}"
        " --index {output.index:q}"
        " --manifest {output.manifest:q}"
        " {params.corrections:q}"
        " {params.shards:q}"
        " 2>&1 | tee -i {log:q}"
