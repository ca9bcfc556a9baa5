# Evaluate: read the test part once per model, sum up over seeds, set beside the paper.
# Reads: predictions. Writes: results/{dataset}/evaluation/{network}-{protocol}.json results/results.csv and metrics.json.


rule evaluate_network:
    """Accuracy, confusion and rejection curve over all seeds."""
    input:
        predictions=expand("results/{{dataset}}/models/{{network}}/{{protocol}}-{seed}/predictions.parquet", seed=SEEDS),
        modules=modules("evaluate.evaluation"),
    output:
        evaluation="results/{dataset}/evaluation/{network}-{protocol}.json",
    log:
        "logs/evaluate_network/{dataset}-{network}-{protocol}.log",
    benchmark:
        "logs/evaluate_network/{dataset}-{network}-{protocol}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        settings=settings.evaluate.model_dump_json(),
        title=lambda wildcards: settings.datasets[wildcards.dataset].title,
        paper=paper_option,
    message:
        "Evaluating {wildcards.network} on the test parts of {wildcards.dataset}"
    shell:
        "python -m sheetlens evaluate"
        " --settings {params.settings:q}"
        " --dataset {wildcards.dataset}"
        " --title {params.title:q}"
        " {params.paper:q}"
        " --network {wildcards.network}"
        " --protocol {wildcards.protocol}"
        " --output {output.evaluation:q}"
        " {input.predictions:q}"
        " 2>&1 | tee -i {log:q}"


rule evaluate_table:
    """The results table: paper / here."""
    input:
        evaluations=every_evaluation(),
        modules=modules("evaluate.evaluation"),
    output:
        table=report("results/results.csv", caption="../report/results.rst", category="Results"),
        metrics="results/metrics.json",
    log:
        "logs/evaluate_table.log",
    benchmark:
        "logs/evaluate_table.tsv"
    conda:
        "../../envs/evidence.yaml"
    message:
        "Writing the results table"
    shell:
        "python -m sheetlens tabulate"
        " --output {output.table:q}"
        " --metrics {output.metrics:q}"
        " {input.evaluations:q}"
        " 2>&1 | tee -i {log:q}"
