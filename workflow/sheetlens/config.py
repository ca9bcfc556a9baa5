"""The typed, closed configuration: every key has a type, a default or none, a unit and a sentence.

`config/config.yaml` holds the paper's values, overlays such as `config/demo.yaml` change some of them.
This module holds values only; what is done with them stands in the modules of the phases.
"""

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sheetlens.errors import UserError


class Closed(BaseModel):
    """A section of the config: unknown keys are errors, values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DemoSource(Closed):
    """Sheets that the package draws itself."""

    task: Literal["stain", "family"] = Field(description="What the two classes differ in.")
    sheets: int = Field(ge=8, description="Number of sheets to draw, both classes together.")
    seed: int = Field(default=1, ge=0, description="Same seed, same sheets.")
    shortcut: bool = Field(
        default=False, description="Plant an imaging set-up that goes with the class, for the audits to find."
    )


class FolderSource(Closed):
    """Photographs in a folder of yours, one sub-folder per class."""

    path: str = Field(
        min_length=1,
        description="The folder. Its sub-folders are the classes; what lies deeper belongs to its class.",
    )


class FigshareFile(Closed):
    """One archive on figshare: the images of one class."""

    article: int = Field(description="Number of the figshare article.")
    file: int = Field(description="Number of the file in the article.")
    images: int = Field(ge=1, description="Images expected in the archive.")


class GbifQuery(Closed):
    """One class of specimens, compiled from GBIF by family name."""

    family: str = Field(description="Scientific name of the family.")
    institution: str = Field(description="Institution code of the herbarium (Index Herbariorum).")
    images: int = Field(ge=1, description="Images to sample.")


class Paper(Closed):
    """What the paper printed, as reference marks beside our own figures."""

    accuracy: float = Field(gt=0, le=1, description="Accuracy on the test part (0 to 1).")
    kept_accuracy: float = Field(gt=0, le=1, description="Accuracy of what is kept after setting aside (0 to 1).")
    test_sheets: int = Field(ge=1, description="Sheets in the paper's test part.")


class Dataset(Closed):
    """One data set: where its sheets come from, which network reads them."""

    title: str = Field(min_length=1, description="A name for people, used in figures and the report.")
    source: Literal["demo", "folder", "figshare", "gbif"] = Field(
        description="Where the sheets come from; the section of the same name says how."
    )
    network: Literal["table1", "table2"] = Field(description="The paper's network: Table 1 or Table 2.")
    demo: DemoSource | None = Field(default=None, description="Used with `source: demo`.")
    folder: FolderSource | None = Field(default=None, description="Used with `source: folder`.")
    figshare: dict[str, FigshareFile] | None = Field(
        default=None, description="Used with `source: figshare`: one archive per class."
    )
    gbif: dict[str, GbifQuery] | None = Field(
        default=None, description="Used with `source: gbif`: one query per class."
    )
    paper: Paper | None = Field(default=None, description="The paper's values, where there are any.")

    @model_validator(mode="after")
    def _source_section_is_there(self) -> Self:
        if getattr(self, self.source) is None:
            raise ValueError(f"source is '{self.source}', but there is no section '{self.source}' beside it")
        return self

    @property
    def source_settings(self) -> Any:
        """The section that belongs to the source."""
        return getattr(self, self.source)


class Images(Closed):
    """How a photograph becomes one row of the image set."""

    fit: Literal["squash", "letterbox"] = Field(
        default="squash",
        description="squash: stretch to the square, as in the paper; letterbox: keep the shape, fill with white.",
    )


class Split(Closed):
    """How the sheets are divided into training, validation and test parts."""

    protocols: tuple[Literal["random"], ...] = Field(
        default=("random",), min_length=1, description="Split protocols. random: the paper's, stratified by class."
    )
    seeds: tuple[int, ...] = Field(
        default=(1, 2, 3, 4, 5),
        min_length=1,
        description="One split and one training for each seed.",
    )
    train: float = Field(default=0.7, gt=0, lt=1, description="Share of the training part (0 to 1).")
    validation: float = Field(default=0.2, gt=0, lt=1, description="Share of the validation part (0 to 1).")
    test: float = Field(default=0.1, gt=0, lt=1, description="Share of the test part (0 to 1).")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("train, validation and test must add up to 1")
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds must be different from each other and not negative")
        return self


class Train(Closed):
    """How a network is trained. The paper leaves these open, see config/README.md for our reasons."""

    epochs: int = Field(default=20, ge=1, description="Most passes over the training part.")
    patience: int = Field(
        default=10, ge=1, description="Stop after this many epochs without a better validation accuracy."
    )
    batch_size: int = Field(default=32, ge=2, description="Sheets in one step.")
    learning_rate: dict[Literal["table1", "table2"], Annotated[float, Field(gt=0)]] = Field(
        default={"table1": 1e-4, "table2": 1e-4},
        description="Highest step size of the Adam optimiser, by network; it warms up to it and decays (one cycle).",
    )
    dropout: float = Field(default=0.5, ge=0, lt=1, description="Share of features dropped in training (0 to 1).")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto: the GPU where there is one, else the CPU."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Arithmetic in training. auto: bfloat16 where the hardware has it."
    )
    threads: int = Field(
        default=2,
        ge=1,
        description="CPU threads. The order of sums, and so the last bit of the weights, depends on it.",
    )

    def rate(self, network: str) -> float:
        """The learning rate of one network."""
        return dict(self.learning_rate)[network]  # type: ignore[index]


class Evaluate(Closed):
    """How the test part is read."""

    set_aside: float = Field(default=0.1, gt=0, lt=1, description="Share of least sure sheets to set aside (0 to 1).")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Level of the intervals (0 to 1).")


class Settings(Closed):
    """The whole config."""

    study: Literal["paper", "demo", "own"] = Field(default="own", description="What the report is headed with.")
    run: tuple[str, ...] = Field(default=(), description="Names of the data sets to run; empty: all of them.")
    datasets: dict[str, Dataset] = Field(min_length=1, description="The data sets, by name.")
    images: Images = Field(default=Images(), description="Preparation of the image set.")
    split: Split = Field(default=Split(), description="Training, validation and test parts.")
    train: Train = Field(default=Train(), description="Training of the networks.")
    evaluate: Evaluate = Field(default=Evaluate(), description="Evaluation on the test part.")

    @model_validator(mode="after")
    def _names_are_usable(self) -> Self:
        for name in self.datasets:
            if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or name == "figures":
                raise ValueError(
                    f"data set name '{name}' becomes a folder: use letters, digits, - and _ (and not 'figures')"
                )
        unknown = set(self.run) - set(self.datasets)
        if unknown:
            raise ValueError(f"run names unknown data sets {sorted(unknown)}; known are {sorted(self.datasets)}")
        return self

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


def schema() -> str:
    """The JSON schema of the config, as committed in config/schema.json."""
    return json.dumps(Settings.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    Path("config/schema.json").write_text(schema(), encoding="utf-8")
