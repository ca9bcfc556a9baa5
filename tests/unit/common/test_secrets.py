import logging

import pytest

from sheetlens import cli
from sheetlens.common.errors import UserError
from sheetlens.common.refusals import Reason
from sheetlens.common.secrets import without_secrets

SECRET = "hunter2hunter2"
ADDRESSES = [
    f"http://user:{SECRET}@example.org/a.jpg",
    f"https://{SECRET}@example.org/a.jpg",
    f"https://user:p@{SECRET}@example.org/a.jpg",
    f"https://s3.example.org/a.jpg?X-Amz-Algorithm=A&X-Amz-Signature={SECRET}&X-Amz-Expires=60",
    f"https://s3.example.org/a.jpg?X-Amz-Security-Token={SECRET}",
    f"https://s3.example.org/a.jpg?x-amz-credential={SECRET}%2F2026",
    f"https://blob.example.org/a.jpg?sv=2020&sig={SECRET}%3D",
    f"https://cdn.example.org/a.jpg?Expires=1&Signature={SECRET}&Key-Pair-Id={SECRET}",
    f"https://storage.example.org/a.jpg?GoogleAccessId=a&X-Goog-Signature={SECRET}",
    f"https://api.example.org/a?api_key={SECRET}",
    f"https://api.example.org/a?b=1&amp;access_token={SECRET}",
    f"https://api.example.org/a#id_token={SECRET}",
    f"https://api.example.org/a?Password={SECRET}&b=1",
    f'{{"url": "https://api.example.org/a?token={SECRET}"}}',
]
HARMLESS = [
    "https://api.gbif.org/v1/occurrence/search?taxonKey=2688&datasetKey=821cc27a-e3bb-4bc5-ac34-89ada245069d",
    "https://iiif.example.org/a@b/full/512,/0/default.jpg?page=2",
    "someone@example.org",
    "no address at all; key = 5",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_password_or_key_is_left_in_an_address(address):
    shown = without_secrets(address)
    assert SECRET not in shown and "example.org/a" in shown
    assert without_secrets(f"two: {address} and {address}.").count("***") >= 2
    assert SECRET not in Reason("unexpected", what=address)


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_stay_as_they_are(text):
    assert without_secrets(text) == text


@pytest.mark.parametrize("fault", [UserError, OSError, ValueError])
def test_no_command_tells_them(monkeypatch, capsys, fault):
    def fail():
        logging.getLogger("sheetlens").info("asking %s", ADDRESSES[0])
        raise fault(2, "told", ADDRESSES[3]) if fault is OSError else fault(ADDRESSES[3])

    monkeypatch.setattr(cli, "cli", fail)
    monkeypatch.setattr("sys.argv", ["sheetlens", "fetch"])
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr("sys.excepthook", None)
    try:
        cli.main()
    except SystemExit as ended:
        said = str(ended.code)
    except ValueError as error:
        import sys

        sys.excepthook(type(error), error, error.__traceback__)
        said = ""
    said += capsys.readouterr().err
    assert SECRET not in said and "asking http://***@example.org/a.jpg" in said and "X-Amz-Signature=***" in said
