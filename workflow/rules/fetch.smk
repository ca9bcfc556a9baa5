# Fetch: where the sheets come from. One rule for each source; the config names the source of a data set.
# Reads: the source. Writes: results/{dataset}/listing.parquet, one row per file, and the files
# in results/{dataset}/originals/ where a source brings any, with their checksums.


rule fetch_demo:
    """Draw the sheets of the demo."""
    input:
        modules=modules("fetch.sources.demo"),
    output:
        originals=directory("results/{dataset}/originals"),
        listing="results/{dataset}/listing.parquet",
    log:
        "logs/fetch_demo/{dataset}.log",
    benchmark:
        "logs/fetch_demo/{dataset}.tsv"
    wildcard_constraints:
        dataset=from_kind("drawn"),
    conda:
        "../../envs/data.yaml"
    threads: 16
    params:
        settings=source_settings,
    message:
        "Drawing the sheets of {wildcards.dataset}"
    shell:
        "python -m sheetlens fetch demo"
        " --settings {params.settings:q}"
        " --originals {output.originals:q}"
        " --listing {output.listing:q}"
        " --workers {threads}"
        " 2>&1 | tee -i {log:q}"


rule fetch_folder:
    """List the photographs in a folder; they stay where they are."""
    input:
        files=source_files,
        modules=modules("fetch.sources.folder", "fetch.records.specimen_records"),
    output:
        listing="results/{dataset}/listing.parquet",
    log:
        "logs/fetch_folder/{dataset}.log",
    benchmark:
        "logs/fetch_folder/{dataset}.tsv"
    wildcard_constraints:
        dataset=from_kind("here"),
    conda:
        "../../envs/data.yaml"
    params:
        settings=source_settings,
        records=records_option,
        # Not used by the command: a photograph added, removed or changed makes the listing out of date.
        fingerprint=lambda wildcards: folder.fingerprint(settings.datasets[wildcards.dataset].folder),
    message:
        "Listing the sheets of {wildcards.dataset}"
    shell:
        "python -m sheetlens fetch folder"
        " --settings {params.settings:q}"
        " {params.records:q}"
        " --originals results/{wildcards.dataset}/originals"
        " --listing {output.listing:q}"
        " 2>&1 | tee -i {log:q}"


rule fetch_remote:
    """Fetch from a service; after a kill or a fault the same command goes on from where it was."""
    input:
        files=source_files,
        modules=source_modules,
    output:
        # Not the folder: what is in it must outlive the next run of this rule.
        sums="results/{dataset}/originals/SHA256SUMS",
        listing=ensure("results/{dataset}/listing.parquet", non_empty=True),
    log:
        "logs/fetch_remote/{dataset}.log",
    benchmark:
        "logs/fetch_remote/{dataset}.tsv"
    wildcard_constraints:
        dataset=from_kind("archives", "files"),
    retries: 2
    conda:
        "../../envs/data.yaml"
    resources:
        runtime=more_each_attempt(720),  # 18,000 pictures at two a second are two and a half hours
    params:
        source=lambda wildcards: settings.datasets[wildcards.dataset].source,
        settings=source_settings,
        records=records_option,
        originals=subpath(output.sums, parent=True),
        stream=stream_option,
    message:
        "Fetching the sheets of {wildcards.dataset} from {params.source}: {params.settings}"
    shell:
        "python -m sheetlens fetch {params.source}"
        " --settings {params.settings:q}"
        " {params.records:q}"
        " --originals {params.originals:q}"
        " --listing {output.listing:q}"
        " {params.stream:q}"
        " 2>&1 | tee -i {log:q}"


use rule fetch_remote as fetch_specimens with:
    output:
        sums="results/{dataset}/originals/SHA256SUMS",
        listing=ensure("results/{dataset}/listing.parquet", non_empty=True),
        # What was asked, what to cite, what was left out.
        citation="results/{dataset}/citation.json",
    log:
        "logs/fetch_specimens/{dataset}.log",
    benchmark:
        "logs/fetch_specimens/{dataset}.tsv"
    wildcard_constraints:
        dataset=from_kind("specimens"),
