import logging
import time

import pytest
from click.testing import CliRunner

from sheetlens import cli
from sheetlens.common.errors import UserError
from sheetlens.common.refusals import Reason
from sheetlens.common.secrets import address_without_secrets, without_secrets

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
    # No addresses by the letter: an error tells them, and says that they are none.
    f"http://user:p/{SECRET}@example.org/a.jpg",
    f"http://user:p#{SECRET}@example.org/a.jpg",
    f"http://user:p?{SECRET}@example.org/a.jpg",
    f"http://user:p {SECRET}@example.org/a.jpg",
    f"http://user:{SECRET} p@example.org/a.jpg",
    f"http://user:p'{SECRET}@example.org/a.jpg",
    f'http://user:p"{SECRET}@example.org/a.jpg',
    f"http://user:12345{SECRET}@example.org:8080/example.org/a.jpg",
    f"http:/user:{SECRET}@example.org/a.jpg",
    f"http:\\user:{SECRET}@example.org/a.jpg",
    f"//user:{SECRET}@example.org/a.jpg",
    f"user:{SECRET}@example.org/a.jpg",
    f"(user:{SECRET}@example.org/a.jpg)",
    f"https://web.example.org/2020/http://user:{SECRET}@example.org/a.jpg",
    f"http://user:{SECRET}\uff20example.org/a.jpg",
    f"http://user:{SECRET}\ufe6bexample.org/a.jpg",
    f"http%3A//user%3A{SECRET}%40example.org/a.jpg",
    f"https://x-token:{'e' * 2000}{SECRET}@example.org/a.jpg",
    *(f"https://example.org/a?{name}={SECRET}" for name in ("PHPSESSID", "wmsAuthSign", "sig_v2", "verify", "psw")),
    # Names in other spellings, and addresses within addresses.
    f"https://example.org/a?tok%65n={SECRET}",
    f"https://example.org/a?X-Amz%2DSignature={SECRET}",
    f"https://example.org/a?token[]={SECRET}",
    f"https://example.org/a?token%5B0%5D={SECRET}",
    f"https://example.org/a?user[pass]={SECRET}",
    f'https://example.org/a?token="{SECRET}"',
    f"https://example.org/a?hdnts=exp=1~acl=/*~hmac={SECRET}",
    f"https://example.org/a?x=exp=1~acl=/*~hmac={SECRET}",
    f"https://example.org/a?next=https://x.org/?token={SECRET}",
    f"https://example.org/a?next=https%3A%2F%2Fx.org%2F%3Ftoken%3D{SECRET}",
    f"https://example.org/a?next=https%3a%2f%2fx.org%2f%3Fa%3Db%26api_key%3d{SECRET}",
    f"https://example.org/a?next=https%253A%252F%252Fx.org%252F%253Ftoken%253D{SECRET}",
    f"https://example.org/a?next=https%3A%2F%2Fuser%3A{SECRET}%40x.org%2F",
    f"https://example.org/a/https%3A%2F%2Fuser%3A{SECRET}%40x.org%2F",
    # Blanks around names and signs.
    f"https://example.org/a?Signature ={SECRET}",
    f"https://example.org/a?Signature= {SECRET}",
    f"https://example.org/a?b=1& pwd = {SECRET}",
    *(f"https://example.org/a?{name}={SECRET}" for name in ("pin%20", "pin+", "%20pin", "+pin", "pin\t")),
    f"https://example.org/a?token=<{SECRET}>",
    # Values that are JSON, and such in JSON.
    f'https://example.org/a?data={{"token":"{SECRET}"}}',
    f'https://example.org/a?data={{"b": {{"c": [1]}}, "token" : "it is \\"{SECRET}"}}',
    f"https://example.org/a?data=[{{'token': '{SECRET}'}}]",
    f'https://example.org/a?data={{"token":{SECRET}}}',
    f'https://example.org/a?data={{"tokens":["a", "{SECRET}"]}}',
    f'https://example.org/a?data={{"credentials":{{"who":"b","by":"{SECRET}"}}}}',
    f'https://example.org/a?token={{"a":"{SECRET}"}}',
    f'https://example.org/a?token=[{{"a":"{SECRET}',
    f'https://example.org/a?{{"token":"{SECRET}"}}',
    f'https://example.org/a?data={{"token":"{SECRET}',
    f'{{"url": "https://example.org/a?data={{\\"token\\":\\"{SECRET}\\"}}"}}',
    *(f'https://example.org/a?d={{{n * chr(92)}"token{n * chr(92)}":{n * chr(92)}"{SECRET}' for n in (3, 7, 15)),
    f"https://example.org/a?data=%7B%22token%22%3A%22{SECRET}%22%7D",
    f"https://example.org/a?data=%7B%22b%22:1,%22token%22:%20%22{SECRET}%22%7D",
    f"https://example.org/a?data=%7B%22token%22%3A%5B%22{SECRET}%22%5D%7D",
    f"https://example.org/a?next=https%3A%2F%2Fx.org%2F%3Fd%3D%257B%2522token%2522%253A%2522{SECRET}%2522%257D",
]
HARMLESS = [
    "https://api.gbif.org/v1/occurrence/search?taxonKey=2688&datasetKey=821cc27a-e3bb-4bc5-ac34-89ada245069d",
    "https://iiif.example.org/a@b/full/512,/0/default.jpg?page=2",
    "someone@example.org",
    "no address at all; key = 5",
    "https://api.gbif.org/v1/a?publishingOrgKey=1&acceptedTaxonKey=2&collection_key=3&institutionCode=K&countryCode=DE",
    "https://example.org/a?bypass=1&compass=2&keyword=fern&design=3&q=someone@example.org",
    "http://example.org:8080/a@b/full/max/0/default.jpg",
    "http://[fe80::1]:8080/a@b/full and http://[fe80::1]/a@b",
    "https://example.org/users/@name/1, https://example.org/@name?page=1",
    "https://example.org/iiif/a%40b/full/!512,512/0/default.jpg and https://example.org/ark:%2F65665%2Fabc@2/full",
    "https://example.org/ark:/65665/a:b@c/full",
    '{"url":"http://example.org:8080","contact":"someone@example.org"}',
    '{"url":"http://example.org/a","contact":"someone@example.org"}',
    "mailto:someone@example.org, Contact:someone@example.org",
    "https://example.org/a.jpg: not there, write to someone@example.org",
    "see http://example.org: write to someone@example.org",
    r"C:\Users\a@b\c /home/a:b@c/d",
    "https://example.org/a?kingdom=Plantae&spin=1&side=left&accredited=yes&pinus=2&pins=3&sidebar=4&inside=5&credit=6",
    "https://example.org/a?samling=7&free=8&assess=9&opuntia_spin=10&reside=11",
    "https://example.org/a?b =1& c = 2, and key = 5; key = 6",
    'https://search.idigbio.org/v2/search/records?rq={"family": "pinaceae", "kingdom":["plantae"], "spin": 1}&limit=5',
    '{"url": "https://example.org/a?id={barcode}", "key": "a", "classes": {"pin": "Pinus", "code": "K"}}',
    r'{"url": "https://example.org/a?rq={\"family\":\"a\"}", "code": "K"}',
    '{"url": "https://example.org/a?rq=%7B%22family%22:1%7D", "code": "K", "b": " = \'key\': 1"}',
    "https://example.org/a?rq=%7B%22family%22%3A%22pinaceae%22%7D&limit=5",
    'https://example.org/a?rq={"family": "a"}: not there',
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_password_or_key_is_left_in_an_address(address):
    shown = without_secrets(address)
    assert SECRET not in shown and "example.org/a" in shown
    assert without_secrets(f"two: {address} and {address}.").count("***") >= 2
    assert SECRET not in Reason("unexpected", what=address)


NAMES = (
    "wskey auth_key authkey appkey app_key consumer_key webkey resourcekey rlkey tempauth temp_url_sig passcode"
    " user_pass userpw bearer hdnts key sig sign auth policy pwd pw pass code ticket sas otp x-api-key AuthKey"
    " sid pswd pin cred creds connect.sid user_pin sess sess_id csrf xsrf SAMLassertion oauth_verifier access_code"
    " authcode"
)


@pytest.mark.parametrize("name", NAMES.split())
def test_values_that_let_in_are_known_by_their_name(name):
    assert (
        without_secrets(f"http://example.org/a?b=1&{name}={SECRET}&c=2") == f"http://example.org/a?b=1&{name}=***&c=2"
    )


PIECES = """?a= ?token= a:/ x://u: %3a%2f / // a.a: %25 @ ={ ={" ={"token":" {[ "a": =%7b%22 %22token%22%3a ?token=[{"
{" ={"token":[ =[ =[%20"""


@pytest.mark.parametrize(
    "piece",
    [*PIECES.split(), "u:@ ", "? ", "?a ", "?token= ", '={ "', '={"token" ', '={"token"\\', f'={{{40 * chr(92)}"'],
)
def test_a_text_without_end_takes_no_time(piece):
    start = time.process_time()
    without_secrets(piece * (200_000 // len(piece)))
    assert time.process_time() - start < 5


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


@pytest.mark.parametrize(
    "address",
    [
        f"http://user:\t{SECRET}@example.org/a.jpg",
        f"http://example.org/a.jpg?tok\ten={SECRET}",
        f"http://example.org/a.jpg?tok\r\nen={SECRET}",
        *(f"http://example.org/a.jpg?token=it{sign}{SECRET}" for sign in "'\"<> \\"),
    ],
)
def test_what_a_server_takes_for_one_address_is_one(address):
    assert SECRET not in address_without_secrets(address)


@pytest.mark.parametrize(
    "arguments",
    [
        [
            "fetch",
            "dwca",
            "--settings",
            f'{{"archive": "{ADDRESSES[0]}", "x": "{ADDRESSES[0]}"}}',
            "--originals",
            "o",
            "--listing",
            "l",
        ],
        ["extract-records", ADDRESSES[0], "--output", "r.parquet"],
        ["predict", ADDRESSES[0]],
        ["fetch", "urls", ADDRESSES[0], ADDRESSES[0]],
        [ADDRESSES[0]],
    ],
)
def test_a_wrong_word_is_repeated_without_them(arguments):
    said = CliRunner().invoke(cli.cli, arguments)
    assert said.exit_code == 2 and SECRET not in said.output + (said.stderr or "") and "Usage" in said.output
