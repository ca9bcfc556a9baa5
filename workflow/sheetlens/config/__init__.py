"""The typed, closed configuration: every key has a type, a default or none, a unit and a sentence.

`config/config.yaml` holds the paper's values, overlays such as `config/demo.yaml` change some of them.
This package holds values only; what is done with them stands in the modules of the phases.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from sheetlens.common.errors import UserError
from sheetlens.config.closed import Closed
from sheetlens.config.fetch import Fetch, HostLimit
from sheetlens.config.networks import BUILT_IN, INSTALLED, PAPER_NETWORKS, Network, Weights
from sheetlens.config.phases import (
    LIMITS,
    Audit,
    Collection,
    Evaluate,
    Features,
    Figures,
    Images,
    Limits,
    Paper,
    Predict,
    Recipe,
    Split,
    Train,
)
from sheetlens.config.portals import DwcaSource, GbifSource, IdigbioSource, Sample, SmithsonianSource
from sheetlens.config.records import Corrections, Method, Methods, Records
from sheetlens.config.sources import (
    SOURCES,
    Dataset,
    DemoSource,
    FigshareFile,
    FolderSource,
    IiifSource,
    UrlsSource,
)

__all__ = [
    "LIMITS",
    "SOURCES",
    "Audit",
    "Closed",
    "Collection",
    "Corrections",
    "Dataset",
    "DemoSource",
    "DwcaSource",
    "Evaluate",
    "Features",
    "Fetch",
    "FigshareFile",
    "Figures",
    "FolderSource",
    "GbifSource",
    "HostLimit",
    "IdigbioSource",
    "IiifSource",
    "Images",
    "Limits",
    "Method",
    "Methods",
    "Network",
    "Paper",
    "Predict",
    "Recipe",
    "Records",
    "Sample",
    "Settings",
    "SmithsonianSource",
    "Split",
    "Train",
    "UrlsSource",
    "Weights",
    "read_files",
    "read_over",
    "read_settings",
]


RESERVED = ("collections", "figures", "workflow")  # folders of results/ that belong to no data set


class Settings(Closed):
    """The whole config."""

    study: Literal["paper", "demo", "own"] = Field(default="own", description="What the report is headed with.")
    run: tuple[str, ...] = Field(default=(), description="Names of the data sets to run; empty: all of them.")
    datasets: dict[str, Dataset] = Field(min_length=1, description="The data sets, by name.")
    fetch: Fetch = Field(default=Fetch(), description="How servers are asked for files.")
    networks: dict[str, Network] = Field(default={}, description="Networks beside the paper's, by name.")
    images: Images = Field(default=Images(), description="Preparation of the image set.")
    split: Split = Field(default=Split(), description="Training, validation and test parts.")
    features: Features = Field(default=Features(), description="Features of pretrained backbones.")
    train: Train = Field(default=Train(), description="Training of the networks.")
    evaluate: Evaluate = Field(default=Evaluate(), description="Evaluation on the test part.")
    predict: Predict = Field(default=Predict(), description="Trained models at work on other sheets.")
    audit: Audit = Field(default=Audit(), description="Audits of data and models.")
    figures: Figures = Field(default=Figures(), description="Figures of the paper and of the report.")
    explore: dict[str, tuple[str, ...]] = Field(
        default={}, description="Networks to try on a data set beside its own, by data set."
    )

    @model_validator(mode="after")
    def _names_are_usable(self) -> Self:
        named = [("data set", name) for name in self.datasets]
        named += [("collection", name) for name in self.predict.collections]
        named += [("network", name) for name in self.networks]
        for kind, name in named:
            if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or name in RESERVED:
                raise ValueError(
                    f"{kind} name '{name}' becomes a folder: use letters, digits, - and _"
                    f" (and not {' or '.join(RESERVED)})"
                )
        unknown = set(self.run) - set(self.datasets)
        if unknown:
            raise ValueError(f"run names unknown data sets {sorted(unknown)}; known are {sorted(self.datasets)}")
        return self

    @model_validator(mode="after")
    def _networks_are_known(self) -> Self:
        given = [*PAPER_NETWORKS, *BUILT_IN]
        if taken := set(self.networks) & {*given, *INSTALLED}:
            raise ValueError(f"networks has another {' and '.join(sorted(taken))}: give it another name")
        known = [*given, *self.networks]
        named = {f"datasets.{name}.network": dataset.network for name, dataset in self.datasets.items()}
        named |= {f"train.learning_rate.{name}": name for name in self.train.learning_rate}
        tried = [(f"explore.{dataset}", name) for dataset, names in self.explore.items() for name in names]
        for key, name in [*named.items(), *tried]:
            if name not in known:
                raise ValueError(f"{key} names the network '{name}', and the networks are {known}")
        if unknown := set(self.explore) - set(self.datasets):
            raise ValueError(f"explore names unknown data sets {sorted(unknown)}; known are {sorted(self.datasets)}")
        for name, dataset in self.datasets.items():
            definition = self.definition(dataset.network)
            if definition and definition.backbone == "vit_b_16":  # it answers from a token that stands for no place
                raise ValueError(f"datasets.{name}.network is a vit_b_16, of which the audits can draw no maps")
        return self

    @model_validator(mode="after")
    def _collections_have_models(self) -> Self:
        for name, collection in self.predict.collections.items():
            if collection.dataset not in self.chosen:
                raise ValueError(
                    f"predict.collections.{name} names the data set '{collection.dataset}',"
                    f" and the data sets are {list(self.chosen)}"
                )
        if self.predict.collections and self.predict.risk not in self.evaluate.risks:
            raise ValueError(f"predict.risk is {self.predict.risk:g}, which is none of evaluate.risks")
        return self

    def definition(self, network: str) -> Network | None:
        """What a network is, None for one of the paper's."""
        return self.networks.get(network) or BUILT_IN.get(network)

    def features_of(self, network: str) -> str | None:
        """The name of the features that a network's head reads, None for one that is trained on the pictures."""
        definition = self.definition(network)
        if not definition or definition.train != "regression":
            return None
        installed = definition.weights and definition.weights.installed
        return definition.backbone if installed else network

    def candidates(self, dataset: str) -> list[str]:
        """The networks to compare on a data set, its own first."""
        return list(dict.fromkeys([self.datasets[dataset].network, *self.explore.get(dataset, ())]))

    @property
    def chosen(self) -> dict[str, Dataset]:
        """The data sets to run, in the order of `run`, or all of them."""
        return {name: self.datasets[name] for name in self.run or self.datasets}


def read_settings(values: dict[str, Any]) -> Settings:
    """Check a merged config and return it typed.

    Raises UserError with one sentence per fault: the key, the value, what was expected.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise UserError("config: " + "; ".join(_sentence(fault) for fault in error.errors())) from None


# What `make` hands over; in no command line, where a quote or a dollar in a value would be the shell's.
FROM_ENVIRONMENT = {
    "SHEETLENS_SHEETS": ("datasets", "own", "folder", "path"),
    "SHEETLENS_LABELS": ("datasets", "own", "folder", "labels"),
    "SHEETLENS_CONTACT": ("fetch", "contact"),
}


def lay_over_environment(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Lay the variables of FROM_ENVIRONMENT over a config, in place; one that is empty or not there changes nothing."""
    for name, (*sections, key) in FROM_ENVIRONMENT.items():
        if environment.get(name):
            section = values
            for step in sections:
                section = section.setdefault(step, {})
            section[key] = environment[name]


def read_files(paths: Sequence[Path]) -> Settings:
    """Lay config files over one another as Snakemake does, and check the result.

    Raises UserError for a file that is not there or is no YAML, and as `read_settings` does.
    """
    values: dict[str, Any] = {}
    for path in paths:
        _lay_over(values, _read_file(path))
    return read_settings(values)


def read_over(path: Path, changes: dict[str, Any]) -> Settings:
    """Lay changes over a config file, as Snakemake lays files over one another; errors are those of `read_files`."""
    values = _read_file(path)
    _lay_over(values, changes)
    return read_settings(values)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"the config {path} cannot be read: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"the config {path} cannot be read: it holds no keys with values")
    return values


def _lay_over(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _lay_over(values[key], value)
        else:
            values[key] = value


def _sentence(fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _known_keys(fault["loc"][:-1])
        near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known here are {', '.join(known)}"
        return f"unknown key '{key}'; {hint}"
    if fault["type"] == "missing":
        return f"'{key}' is missing"
    message = fault["msg"].removeprefix("Value error, ")
    if isinstance(fault["input"], dict):
        return f"'{key}': {message}" if key else message
    return f"'{key}' is {fault['input']!r}: {message[:1].lower()}{message[1:]}"


def _known_keys(path: tuple[int | str, ...]) -> list[str]:
    """The keys allowed at a place of the config, read from its JSON schema."""
    root = Settings.model_json_schema()
    node: dict[str, Any] = root
    for part in path:
        node = node.get("properties", {}).get(part) or node.get("additionalProperties", {})
        node = next((option for option in node.get("anyOf", [])), node)
        if "$ref" in node:
            node = root["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return list(node.get("properties", {}))
