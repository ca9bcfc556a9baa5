"""Sources of sheets behind one interface: each module's `fetch` returns a listing.

A listing has one row per file found, whether usable or not, and the columns of LISTING. A source that
brings files to this machine writes them below `originals`; one whose files are here already leaves it alone.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

LISTING = {  # column -> value where a source knows nothing; Darwin Core terms keep their spelling
    "image_id": "",
    "specimen_id": "",
    "label": "",
    "recordedBy": "",
    "recordNumber": "",
    "eventDate": "",
    "family": "",
    "path": "",
    "source_url": "",
    "route": "",
    "licence": "",
    "rights_holder": "",
    "bytes": 0,
    "sha256": "",
    "status": "ok",
    "reason": "",
}


def listing(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Build a listing from partial records: every column, sorted by image_id."""
    table = pd.DataFrame([LISTING | record for record in records], columns=list(LISTING))
    return table.sort_values("image_id", kind="stable", ignore_index=True)
