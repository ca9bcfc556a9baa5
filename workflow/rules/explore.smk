# Explore: several networks on one data set, ranked by their validation parts; only on request (`snakemake explore`).
# Reads: models and predictions of each network and seed, under the first protocol. Writes: results/{dataset}/explore/.


rule explore_cost:
    """Parameters and arithmetic of a network, and the memory that its training takes on a GPU."""
    input:
        model=f"results/{{dataset}}/models/{{network}}/{PROTOCOLS[0]}-{SEEDS[0]}/model.json",
        modules=modules("explore.costs"),
    output:
        cost="results/{dataset}/explore/costs/{network}.json",
    log:
        "logs/explore_cost/{dataset}-{network}.log",
    benchmark:
        "logs/explore_cost/{dataset}-{network}.tsv"
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=1,
        mem_mb=more_each_attempt(8000),
    params:
        folder=subpath(input.model, parent=True),
    message:
        "Measuring what {wildcards.network} costs"
    shell:
        "python -m sheetlens explore cost"
        " --model {params.folder:q}"
        " --output {output.cost:q}"
        " 2>&1 | tee -i {log:q}"


rule explore_rank:
    """The leaderboard: chosen on validation, compared with the data set's network on test."""
    input:
        predictions=candidate_models("predictions.parquet"),
        models=candidate_models("model.json"),
        costs=candidate_costs,
        modules=modules("explore.leaderboard"),
    output:
        table="results/{dataset}/explore/leaderboard.csv",
        board="results/{dataset}/explore/leaderboard.json",
    log:
        "logs/explore_rank/{dataset}.log",
    benchmark:
        "logs/explore_rank/{dataset}.tsv"
    conda:
        "../../envs/evidence.yaml"
    params:
        title=lambda wildcards: settings.datasets[wildcards.dataset].title,
        standard=lambda wildcards: settings.datasets[wildcards.dataset].network,
        protocol=PROTOCOLS[0],
        confidence=settings.evaluate.confidence,
        costs=lambda wildcards, input: [word for path in input.costs for word in ("--cost", path)],
        times=lambda wildcards: " ".join(
            f"logs/{rule}/{wildcards.dataset}-{{network}}-{PROTOCOLS[0]}-{{seed}}.tsv"
            for rule in ("train_network", "features_head")
        ),
    message:
        "Ranking the networks on {wildcards.dataset}"
    shell:
        "python -m sheetlens explore rank"
        " --dataset {wildcards.dataset}"
        " --title {params.title:q}"
        " --protocol {params.protocol}"
        " --standard {params.standard}"
        " --confidence {params.confidence}"
        " --times {params.times:q}"
        " {params.costs:q}"
        " --table {output.table:q}"
        " --output {output.board:q}"
        " {input.predictions:q}"
        " 2>&1 | tee -i {log:q}"


rule explore_draw:
    """Accuracy against cost."""
    input:
        board="results/{dataset}/explore/leaderboard.json",
        modules=modules("figure.costs"),
    output:
        expand("results/{{dataset}}/explore/figure-costs.{ending}", ending=ENDINGS),
    log:
        "logs/explore_draw/{dataset}.log",
    benchmark:
        "logs/explore_draw/{dataset}.tsv"
    conda:
        "../../envs/figures.yaml"
    params:
        folder=subpath(output[0], parent=True),
        dots_per_inch=settings.figures.dots_per_inch,
    message:
        "Drawing what the networks of {wildcards.dataset} cost"
    shell:
        "python -m sheetlens explore draw"
        " --leaderboard {input.board:q}"
        " --folder {params.folder:q}"
        " --dots-per-inch {params.dots_per_inch}"
        " 2>&1 | tee -i {log:q}"
