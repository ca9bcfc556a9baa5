"""Passwords and keys in addresses: they are shown nowhere.

What is no address by the letter (a slash in a password, one slash after `http:`, no scheme) is told in errors, too.
"""

import re
from functools import cache
from urllib.parse import unquote

HIDDEN = "***"
_BEGINS = r"(?<![^\s\"'(<,|=])"  # nothing, a blank, a quote or the like comes before
_PORT = r"(?!\d{1,5}(?:[/?#\s\"'<>),;]|$))"  # host:8080 is no account
_AT = "[@\uff20\ufe6b]"  # full-width and small ones, as people's keyboards write them, included
# After the colon: up to the last @ before a blank or quote, else up to the first behind one.
_PASSWORD = rf":{_PORT}(?:[^\s\"'<>]{{0,4000}}|[^\s@][^@\n]{{0,100}}){_AT}"
_USER = r"(?!\[)[^\s/\\?#:@\"'<>]{0,200}"  # no [::1]
_ACCOUNT = re.compile(
    rf"((?<=[\w+.-]{{2}}:)[/\\]+|{_BEGINS}[/\\]{{2,}})(?:{_USER}{_PASSWORD}|[^\s/\\?#\"'<>]{{0,4000}}{_AT})"
)
_BARE = re.compile(
    rf"{_BEGINS}(?!(?:mailto|e-?mail|mail|contact|urn|doi|ark|hdl):)[\w.+%-]{{1,200}}:(?![/\\\s]){_PORT}"
    r"[^\s\"'<>]{1,500}@(?=[\w\[])",
    re.IGNORECASE,
)
# The same within another address: %3A%2F%2Fuser%3Apassword%40, and %253A... within that.
_CODED = re.compile(
    r"(%(?:25){0,3}3a(?:%(?:25){0,3}2f|[/\\])+)(?:(?!%(?:25){0,3}2f)[^\s/?#&;\"'<>]){0,4000}%(?:25){0,3}40",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?:[?&] {0,3}|[;#~/]|%(?:25){0,3}(?:3f|26|3b|23|2f|7e))([^=&;#?/\s\"'<>]{1,100}?)[ \t]{0,3}(?:=|%(?:25){0,3}3d)",
    re.IGNORECASE,
)
_BEFORE_NEXT = r"(?:(?!\s\w+://).)*"  # what comes before another address in the line
# JSON goes to the last bracket of that; without one (it was cut short), all of it.
_BRACKETS = rf"[\[{{](?:{_BEFORE_NEXT}[\]}}]|{_BEFORE_NEXT})"
_VALUE = re.compile(
    rf"[ \t]{{0,3}}(?:(?=[\[{{][\s\[{{]{{0,9}}\\*[\"']){_BRACKETS}|(?:\\?[\"'<](?=[\w%+/=.~-]))?[^&;#\s\"'<>\\]+)"
)
# JSON in a query, to the end of the line. What is no JSON, such as {barcode}, has no quote behind the bracket.
_CODED_QUOTE = "%(?:25){0,3}2[27]"
_BLANKS = r"(?:\s|\+|%(?:25){0,3}20){0,9}"
_JSON = re.compile(
    rf"(?:[=?#]|%(?:25){{0,3}}(?:3d|3f|23)){_BLANKS}(?:(?:\[|%(?:25){{0,3}}5b){_BLANKS}){{0,9}}"
    rf"(?:\{{|%(?:25){{0,3}}7b){_BLANKS}(\\{{0,15}}[\"']|{_CODED_QUOTE}).*",
    re.IGNORECASE,
)
_MEMBER_VALUE = re.compile(
    rf"{_BLANKS}(?:(?P<quote>\\*[\"']|{_CODED_QUOTE}){_BEFORE_NEXT}?(?:(?<!\\)(?P=quote)|$|(?=\s\w+://))|{_BRACKETS}"
    r"|%(?:25){0,3}(?:5b|7b)[^\s&]*|(?:(?!%(?:25){0,3}(?:2c|7d))[^\s,}&])+)",
    re.IGNORECASE,
)
# Names of values that let whoever has them in: signatures of clouds' addresses, tokens, keys, passwords.
_SECRET = re.compile(
    r"signature|token|secret|passw|passphrase|passcode|credential|authorization|bearer|access-?id|session|security"
    r"|sessid|authsign|hmac|jwt|csrf|xsrf|assertion|verifier|key-pair"
    r"|(?:api|access|account|private|subscription|license|licence|pair)[._-]?(?:key|id)"
    r"|(?:key|sigs?(?:_?v)?|pwd|pswd|pw|psw|auth|(?<!by)(?<!com)pass|(?:access|auth|login|verification)[._-]?code)$"
    r"|(?:^|[._-])(?:sign|sid|pin|creds?|sess(?:[._-]?id)?)$"
    r"|^(?:policy|code|ticket|sas|otp|verify|__gda__|hdn(?:ts|ea|tl))$"
)
# Servers never see tabs and line ends; a blank or a quote within a value would pass for its end.
_WITHIN = {9: None, 10: None, 13: None, 32: "%20", 34: "%22", 39: "%27", 60: "%3C", 62: "%3E", 92: "%5C"}
# Services' own identifiers are none.
_RECORD = re.compile(
    r"(?:taxon|usage|nub|dataset|species|genus|family|order|class|phylum|kingdom|rank|name|occurrence|checklist"
    r"|org|organi[sz]ation|installation|network|collection|institution|specimen|image|media|object|record|item|event"
    r"|constituent|parent|download|sort|row|group)[._-]?key$"
)


def without_secrets(text: str) -> str:
    """A text with stars for the accounts and passwords in the addresses in it, and for keys in their queries."""
    if not set("@=%{\uff20\ufe6b") & set(text):
        return text
    for account in (_ACCOUNT, _BARE, _CODED):
        text = account.sub(lambda found: f"{found[1] if found.re.groups else ''}{HIDDEN}@", text)
    text = _JSON.sub(lambda found: _without_values(found[0], _members(found[1]), _MEMBER_VALUE), text)
    return _without_values(text, _NAME, _VALUE)


def address_without_secrets(url: str) -> str:
    """The same of a text that is one address, whatever is in it: what ends an address elsewhere is written as %..."""
    return without_secrets(url.translate(_WITHIN))


@cache
def _members(quote: str) -> re.Pattern[str]:
    """Names in JSON whose first has such a quote: what has fewer backslashes belongs to the JSON around the address."""
    plain = "" if quote.startswith("%") else rf"\\{{{quote.count(chr(92))},15}}[\"']|"
    ends = f"(?:{plain}{_CODED_QUOTE})"
    return re.compile(rf"{ends}([\w.%\[\]-]{{1,100}}?){ends}{_BLANKS}(?::|%(?:25){{0,3}}3a)", re.IGNORECASE)


def _without_values(text: str, names: re.Pattern[str], values: re.Pattern[str]) -> str:
    parts, end = [], 0
    for found in names.finditer(text):
        if found.start() < end or not _lets_in(found[1]):
            continue
        if value := values.match(text, found.end()):
            parts += [text[end : found.end()], HIDDEN]
            end = value.end()
    return "".join([*parts, text[end:]])


def _lets_in(name: str) -> bool:
    """Whether a value of this name lets in; letters may be written %65, lists as name[] and name[0]."""
    for _ in range(4):  # an address within an address within an address
        name = unquote(name)
    name = re.split(r"[?&;#~/]", name.lower())[-1].strip("+ \t").rstrip("[]0123456789")
    return _SECRET.search(name) is not None and _RECORD.search(name) is None
