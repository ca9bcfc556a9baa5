"""What may be wrong with a data set or a model; each audit writes one finding.

To add an audit: its module, a row here, its rule (docs/contributing/adding.md).
"""

from typing import Literal

# Name, also of its module, whose `write` makes the finding -> what each finding is for.
AUDITS: dict[str, Literal["dataset", "protocol"]] = {
    "setup": "dataset",
    "labels": "dataset",
    "saliency": "dataset",
    "regions": "dataset",
    "duplicates": "dataset",
    "leakage": "protocol",
    "shortcuts": "protocol",
    "training": "protocol",
}
