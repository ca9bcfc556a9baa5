# What the rules of `predict` ask the config about a collection, and where its inputs lie.


def collection_model(wildcards):
    """Input: the package of the model that reads a collection, of the first protocol and seed."""
    name = settings.predict.collections[wildcards.collection].dataset
    return f"results/{name}/models/{settings.datasets[name].network}/{PROTOCOLS[0]}-{SEEDS[0]}/package.json"


def collection_table(wildcards):
    """Input: the table that lists a collection; nothing where it is a folder."""
    source = settings.predict.collections[wildcards.collection].input
    return [] if Path(source).is_dir() else [source]


def collection_fingerprint(wildcards):
    """Param: a digest of names, sizes and times of the files of a collection's folder; none for a table."""
    source = Path(settings.predict.collections[wildcards.collection].input)
    return folder.digest(source) if source.is_dir() else ""


def hotspots_settings(wildcards):
    """The config's section `hotspots` of a collection."""
    return settings.predict.collections[wildcards.collection].hotspots


def collection_evaluation(wildcards):
    """Input: how often the model that reads a collection errs."""
    return every_evaluation([settings.predict.collections[wildcards.collection].dataset], PROTOCOLS[:1])


def collection_records(wildcards):
    """Input: the specimen records here that a collection's sheets are joined to."""
    return [records.path for records in hotspots_settings(wildcards).records if "://" not in records.path]


def hotspots_options(wildcards):
    """Param: the options with the specimen records to join."""
    return [word for one in hotspots_settings(wildcards).records for word in ("--records", one.model_dump_json())]
