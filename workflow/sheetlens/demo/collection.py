"""The invented collection behind the demo: what each sheet is, who collected it, where it is kept."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.random import Generator

CLASSES: dict[str, tuple[str, str]] = {"stain": ("stained", "unstained"), "family": ("clubmoss", "spikemoss")}
SETUPS = ("light box", "conveyor")
HERBARIUM = "HERBARIUM OF THE LENS MUSEUM"
CABINETS = 24
HOT_CABINETS = 5  # cabinets treated with mercury as a whole, where most stained sheets lie
SHORTCUT_STRENGTH = 0.9  # share of sheets whose imaging set-up gives the class away
BARCODES = 999_983  # a prime, one below a multiple of 4: the scattering below visits every barcode once
# Purposes of random streams: a sheet's facts, picture, collecting event, second photograph; plan of defects; drop.
FACTS, PICTURE, EVENT, AGAIN, DEFECTS, DROP = range(6)

COLLECTORS = (
    "A. M. Thornquist", "E. Marlowe-Hale", "J. B. Underbrook", "W. Castellane", "F. Oduyale", "H. Vinterberg",
    "M. L. Quillfeather", "R. Asunmaa", "C. D. Barrowmead", "P. Ixtlan", "S. Greyling", "T. Okonjo-Reed",
    "L. Fairweather", "G. Montresor", "D. Halvorsdatter", "K. Amberley",
)  # fmt: skip
PLACES = (
    "Marrow County, spruce bog", "Isle of Tern, north slope", "Upper Callow River", "Mt. Hesper, 1,450 m",
    "Lindenfall, ravine", "San Ovidio, cloud forest", "Blackwater Notch", "Quarry Head, mossy bank",
)  # fmt: skip
HABITATS = ("Moist shaded bank", "On rotting log", "Open heath, sandy", "Among mosses", "Wet rock face")
EPITHETS = ("hesperium", "marlowei", "repens", "gracile", "montanum", "umbrosum", "pulchrum", "ternense")


@dataclass(frozen=True)
class Sheet:
    """One specimen sheet: what its record says and how it is photographed."""

    task: str
    seed: int
    number: int  # 0-based, decides every random choice about the sheet
    label: str  # the true class in its task
    family: str
    stained: bool
    severity: float  # amount of browning 0..1, from mercury or not
    barcode: str
    collector: str
    collector_number: int
    date: str
    name: str
    place: str
    habitat: str
    cabinet: str
    setup: str
    drop: bool  # a drop of the poison has dried on it


def stream(task: str, seed: int, purpose: int, number: int) -> Generator:
    """The random numbers of one purpose for one sheet; no other draw changes them."""
    return np.random.default_rng([seed, list(CLASSES).index(task), purpose, number])


def barcode(task: str, seed: int, number: int) -> str:
    """The eight digits of sheet `number`: the tasks never share one, nor do two sheets of a demo."""
    start = int(np.random.default_rng([seed]).integers(BARCODES))
    block = 1 + list(CLASSES).index(task)
    return f"{block * 1_000_000 + scattered(start + scattered(number)):08d}"


def scattered(number: int) -> int:
    """A permutation of 0..BARCODES-1 without order, so that neighbouring barcodes say nothing of the class.

    Squares modulo a prime p, mirrored for the upper half of the numbers (p = 3 modulo 4).
    """
    number %= BARCODES
    square = number * number % BARCODES
    return square if 2 * number <= BARCODES else BARCODES - square


def file_name(task: str, seed: int, number: int) -> str:
    """Path of file `number` below the demo folder: its class and its barcode."""
    return f"{CLASSES[task][number % 2]}/{barcode(task, seed, number)}.jpg"


def describe(task: str, seed: int, number: int, shortcut: bool, drops: bool = False) -> Sheet:
    """Decide everything about sheet `number` of a task; classes alternate."""
    rng = stream(task, seed, FACTS, number)
    label = CLASSES[task][number % 2]
    # Some gatherings were shared out over two sheets, as herbaria do; both have the same class.
    event = number - 2 if number >= 2 and rng.random() < 0.12 else number
    gathering = stream(task, seed, EVENT, event)
    family = label if task == "family" else str(gathering.choice(CLASSES["family"]))
    stained = label == "stained" if task == "stain" else bool(rng.random() < 0.5)
    collector = int(gathering.integers(len(COLLECTORS)))
    day = date(1858 + 5 * collector, 1, 1) + timedelta(days=int(gathering.integers(0, 9_000)))
    genus = "Lycopodium" if family == "clubmoss" else "Selaginella"
    setup = SETUPS[int(rng.integers(2))]
    if shortcut:
        setup = SETUPS[(number + int(rng.random() > SHORTCUT_STRENGTH)) % 2]
    hot = np.random.default_rng([seed, CABINETS]).permutation(CABINETS)[:HOT_CABINETS]
    cabinet = int(rng.choice(hot)) if rng.random() < (0.75 if stained else 0.08) else int(rng.integers(CABINETS))
    return Sheet(
        task=task,
        seed=seed,
        number=number,
        label=label,
        family=family,
        stained=stained,
        # Browning is the question of one task only; in the other it is milder, so that leaves stay visible.
        severity=float(rng.beta(1.6, 1.5)) * (1.0 if task == "stain" else 0.6),
        barcode=barcode(task, seed, number),
        collector=COLLECTORS[collector],
        collector_number=int(gathering.integers(1, 6_000)),
        date=day.isoformat(),
        name=f"{genus} {gathering.choice(EPITHETS)}",
        place=str(gathering.choice(PLACES)),
        habitat=str(gathering.choice(HABITATS)),
        cabinet=f"C{cabinet + 1:02d}",
        setup=setup,
        drop=drops and stained,
    )
