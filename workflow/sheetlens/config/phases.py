"""How each phase of the study works: images, split, train, evaluate, audit."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sheetlens.config.closed import Closed
from sheetlens.config.records import Method, Records

RATE = 1e-4  # step size, noted by a replication at another museum
Share = Annotated[float, Field(gt=0, lt=1)]


class Limits(Closed):
    """What one file may cost; a file that needs more is refused, with the reason."""

    megapixels: int = Field(default=180, ge=1, description="Largest picture, in millions of pixels.")
    megabytes: int = Field(default=2000, ge=100, description="Memory for decoding one file, in MB.")
    seconds: int = Field(default=60, ge=1, description="Processor time for decoding one file, in seconds.")
    megabytes_together: int = Field(
        default=6000, ge=100, description="Memory for all files that a job decodes at the same time, in MB."
    )

    @property
    def costs(self) -> list[int]:
        """The limits that decide which files are refused."""
        return [self.megapixels, self.megabytes, self.seconds]


LIMITS = Limits()  # where nobody says otherwise


class Images(Closed):
    """How a photograph becomes one row of the image set."""

    fit: Literal["squash", "letterbox", "crop_sheet"] = Field(
        default="squash",
        description="squash: stretch to the square, as in the paper; letterbox: keep the shape, fill with white;"
        " crop_sheet: trim the camera's border and colour bar, then stretch.",
    )
    jobs: int = Field(
        default=1, ge=1, description="Jobs that the reading is divided into; about 1,000 sheets each are well used."
    )
    mask: tuple[Literal["border", "label", "surround"], ...] = Field(
        default=(),
        description="What is covered on every sheet before a network sees it. border: the outermost ring; label: the"
        " lower right corner; surround: all beside the sheet, such as table, ruler and colour bar.",
    )
    limits: Limits = Field(default=Limits(), description="What one file may cost.")
    keep_originals: bool = Field(
        default=True,
        description="false: fetched files are prepared as they arrive and dropped; only their hashes stay.",
    )


class Split(Closed):
    """How the sheets are divided into training, validation and test parts."""

    protocols: tuple[Literal["random", "grouped", "held_out_source"], ...] = Field(
        default=("random",),
        min_length=1,
        description="Split protocols. The headline is the first that is not random, if there is one. random: the"
        " paper's, over images; grouped: what"
        " belongs together stays in one part; held_out_source: the test part is one source.",
    )
    seeds: tuple[int, ...] = Field(
        default=(1, 2, 3, 4, 5),
        min_length=1,
        description="One split and one training for each seed.",
    )
    train: float = Field(default=0.7, gt=0, lt=1, description="Share of the training part (0 to 1).")
    validation: float = Field(default=0.2, gt=0, lt=1, description="Share of the validation part (0 to 1).")
    test: float = Field(default=0.1, gt=0, lt=1, description="Share of the test part (0 to 1).")
    groups: tuple[Literal["specimen", "duplicate", "event", "collector", "barcode_run"], ...] = Field(
        default=("specimen", "duplicate", "event"),
        description="What belongs together in the protocols grouped and held_out_source.",
    )
    barcode_run: int = Field(default=10, ge=2, description="Barcodes in a row that count as one run (numbers).")
    held_out: str = Field(
        default="institutionCode",
        min_length=1,
        description="Column of the index or the manifest that names the source of a sheet, for held_out_source.",
    )

    @property
    def ordered(self) -> tuple[str, ...]:
        """The protocols with the headline's first: one whose test part is new, the paper's random one only alone."""
        return tuple(sorted(self.protocols, key=lambda protocol: protocol == "random"))

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("train, validation and test must add up to 1")
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds must be different from each other and not negative")
        return self


class Recipe(Closed):
    """How the weights move and the pictures vary; benchmarks/recipe.py measures what each part brings."""

    schedule: Literal["constant", "one_cycle"] = Field(
        default="one_cycle", description="Step size over time: always the same, or rising, then falling to nothing."
    )
    weight_decay: float = Field(default=0.0, ge=0, description="Decoupled weight decay of AdamW.")
    average: float = Field(
        default=0.0, ge=0, lt=1, description="Decay of a running mean of the weights (0: none), which is what is kept."
    )
    flip: bool = Field(default=False, description="Mirror every other batch, left and right.")
    rotate: float = Field(default=0.0, ge=0, le=45, description="Largest turn of a batch, in degrees.")
    shift: float = Field(default=0.0, ge=0, lt=1, description="Largest shift of a batch, as a share of the side.")
    colour: float = Field(
        default=0.0, ge=0, lt=1, description="Largest change of brightness, contrast and saturation (0 to 1)."
    )


class Features(Closed):
    """How the features of pretrained backbones are computed."""

    jobs: int = Field(
        default=1, ge=1, description="Jobs that the sheets of a data set are divided into; for clusters and GPUs."
    )


class Train(Closed):
    """How a network is trained. The paper leaves these open, see docs/reference/configuration.md for our reasons."""

    epochs: int = Field(default=20, ge=1, description="Most passes over the training part.")
    patience: int = Field(
        default=10, ge=1, description="Stop after this many epochs without a better validation accuracy."
    )
    batch_size: int = Field(default=32, ge=2, description="Sheets in one step.")
    learning_rate: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={"table1": RATE, "table2": RATE},
        description="Highest step size of the AdamW optimiser, by network; 1e-4 for those that are not named.",
    )
    recipe: Recipe = Field(default=Recipe(), description="Schedule, weight decay, averaging, augmentation.")
    class_weight: Literal["none", "balanced"] = Field(
        default="none",
        description="balanced: every class counts as much as any other, however rare it is; none: every sheet does.",
    )
    dropout: float = Field(default=0.5, ge=0, lt=1, description="Share of features dropped in training (0 to 1).")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="auto: the GPU where there is one, else the CPU. mps: that of a Mac."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="Arithmetic in training. auto: bfloat16 where the hardware has it."
    )
    threads: int = Field(
        default=2,
        ge=1,
        description="CPU threads. The order of sums, and so the last bit of the weights, depends on it.",
    )
    deterministic: bool = Field(
        default=True, description="The same bits for the same seed. false: a GPU may take faster algorithms."
    )
    compile: bool = Field(
        default=False, description="Compile the network first: for long trainings on a GPU. Takes a C++ compiler."
    )
    restarts: int = Field(
        default=0,
        ge=0,
        description="How often a training that broke or names every sheet the same is begun again, from another seed.",
    )
    gpus: int = Field(
        default=1,
        ge=1,
        description="GPUs of one training, each with its share of every batch. Where there is no GPU, processes.",
    )

    @model_validator(mode="after")
    def _a_share_for_each(self) -> Self:
        if self.gpus > self.batch_size:
            raise ValueError(f"{self.gpus} gpus cannot share a batch of {self.batch_size}")
        return self

    def rate(self, network: str) -> float:
        """The learning rate of one network."""
        return self.learning_rate.get(network, RATE)


class Paper(Closed):
    """What the paper printed, as reference marks beside our own figures."""

    accuracy: float = Field(gt=0, le=1, description="Accuracy on the test part (0 to 1).")
    kept_accuracy: float = Field(gt=0, le=1, description="Accuracy of what is kept after setting aside (0 to 1).")
    test_sheets: int = Field(ge=1, description="Sheets in the paper's test part.")


class Evaluate(Closed):
    """How the test part is read."""

    set_aside: float = Field(
        default=0.1, gt=0, lt=1, description="Share of least confident sheets to set aside (0 to 1)."
    )
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Level of the intervals (0 to 1).")
    risks: tuple[Share, ...] = Field(
        default=(0.01, 0.02, 0.05, 0.1),
        description="Error rates (0 to 1) among the answered sheets, for each of which the coverage is given.",
    )
    guarantee: Share = Field(
        default=0.95, description="Certainty (0 to 1) with which a guaranteed threshold keeps to its error rate."
    )
    prevalence: tuple[Share, ...] = Field(
        default=(0.01, 0.05, 0.2, 0.5),
        description="Shares (0 to 1) of a class in a collection, for which predictive values are given.",
    )
    missed: tuple[Share, ...] = Field(
        default=(0.01, 0.05, 0.1),
        description="Shares (0 to 1) of a class that may be overlooked, for each of which a recall floor is given.",
    )
    costs: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(1.0, 5.0, 20.0),
        description="How many false alarms overlooking one sheet of a class is worth; a line is drawn for each.",
    )
    margin: Share = Field(
        default=0.02, description="Most that an accuracy may differ from the paper's (0 to 1) and count as the same."
    )


class Hotspots(Closed):
    """Where in a collection the treated sheets are."""

    label: str = Field(default="stained", min_length=1, description="The model's class of treated sheets.")
    tests: int = Field(default=20, ge=1, description="Number of cabinets that can be tested.")
    checks: str | None = Field(
        default=None, min_length=1, description="Table of sheets that were tested (.csv): barcode and label."
    )
    checked: str | None = Field(
        default=None, min_length=1, description="What a check of the collection says (check.json, `sheetlens assess`)."
    )
    measurements: str | None = Field(
        default=None,
        min_length=1,
        description="Table of what instruments found (.csv): see docs/how-to/check-a-collection.md.",
    )
    methods: dict[str, Method] = Field(
        default={}, description="How often methods of testing err, beside XRF, vapour, spot test and UV."
    )
    records: tuple[Records, ...] = Field(
        default=(), description="Specimen records that say where a sheet is kept; several fill one another's gaps."
    )


class Collection(Closed):
    """Sheets that a trained model of this study shall read."""

    input: str = Field(min_length=1, description="Folder of photographs, or a table with a column `path`.")
    dataset: str = Field(
        description="Data set whose model reads them: that of the headline's protocol and the first seed."
    )
    hotspots: Hotspots | None = Field(
        default=None, description="Rank cabinets, taxa, collectors, decades and places by their treated sheets."
    )


class Predict(Closed):
    """How trained models read sheets they have not seen."""

    risk: Share = Field(
        default=0.05, description="Error rate (0 to 1) wanted among the sheets that get a class: one of evaluate.risks."
    )
    unguaranteed: bool = Field(
        default=False,
        description="Where no threshold has a guarantee: take one that held on validation (false: review all).",
    )
    unlike: Share = Field(
        default=0.01,
        description="Share (0 to 1) of validation sheets that may count as unlike those of the training.",
    )
    jobs: int = Field(default=1, ge=1, description="Jobs that the reading of a collection is divided into.")
    collections: dict[str, Collection] = Field(default={}, description="Collections to read, by name.")


class Audit(Closed):
    """When an audit raises the alarm, and how many sheets it looks at."""

    level: float = Field(
        default=0.01, gt=0, lt=0.5, description="Most false alarms an audit may raise, as a share of clean data sets."
    )
    area: float = Field(
        default=0.6,
        ge=0.5,
        lt=1,
        description="ROC area (0.5 is chance) that a view of the imaging set-up must reach for an alarm.",
    )
    saliency_sheets: int = Field(default=60, ge=4, description="Test sheets whose saliency is computed.")


class Figures(Closed):
    """How figures are written."""

    dots_per_inch: int = Field(
        default=300, ge=50, le=1200, description="Resolution of the PNG; 300 is usual for print."
    )
