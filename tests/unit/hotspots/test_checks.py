"""What tests of single sheets say of a collection, by barcode."""

import numpy as np
import pandas as pd
import pytest

from sheetlens.common.errors import UserError
from sheetlens.hotspots.estimates import read_checks

CLASSES = ["stained", "unstained"]


def checks(folder, text, *names):
    (folder / "checks.csv").write_text(text)
    sheets = pd.DataFrame({"specimen_id": list(names)})
    return read_checks(folder / "checks.csv", sheets, CLASSES, "stained").tolist()


def test_a_check_is_that_of_its_specimen_and_of_no_other(tmp_path):
    text = "barcode;label\nk-12345;stained\n123451;unstained\nK00000007-a;stained\n;unstained\n"
    names = ("K00012345_1", "K00012345", "K000123451", "00123451", "K00000007-a", "K00000007_1", "")
    found = checks(tmp_path, text, *names)
    np.testing.assert_array_equal(found, [1, 1, np.nan, 0, 1, np.nan, np.nan])


def test_checks_that_contradict_one_another_are_an_error(tmp_path):
    with pytest.raises(UserError, match="contradict each other about '0012345'"):
        checks(tmp_path, "barcode,label\n12345,stained\n0012345,unstained\n", "12345")
    assert checks(tmp_path, "barcode,label\n12345,stained\n0012345,stained\n", "12345") == [1.0]
