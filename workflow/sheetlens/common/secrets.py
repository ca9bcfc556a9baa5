"""Passwords and keys in addresses: they are shown nowhere.

What is no address by the letter (a slash in a password, one slash after `http:`, no scheme) is told in errors, too.
"""

import re
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
    r"(?:[?&;#~/]|%(?:25){0,3}(?:3f|26|3b|23|2f|7e))([^=&;#?/\s\"'<>]{1,100}?)(?:=|%(?:25){0,3}3d)", re.IGNORECASE
)
_VALUE = re.compile(r"(?:\\?[\"'](?=[\w%+/=.~-]))?[^&;#\s\"'<>\\]+")
# Names of values that let whoever has them in: signatures of clouds' addresses, tokens, keys, passwords.
_SECRET = re.compile(
    r"signature|token|secret|passw|passphrase|passcode|credential|authorization|bearer|access-?id|session|security"
    r"|sessid|authsign|hmac|jwt|key-pair|(?:api|access|account|private|subscription|license|licence|pair)[._-]?(?:key|id)"
    r"|(?:key|sigs?(?:_?v)?|pwd|pw|psw|auth|(?<!by)(?<!com)pass)$|(?:^|[._-])sign$"
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
    if not set("@=%\uff20\ufe6b") & set(text):
        return text
    for account in (_ACCOUNT, _BARE, _CODED):
        text = account.sub(lambda found: f"{found[1] if found.re.groups else ''}{HIDDEN}@", text)
    return _without_keys(text)


def address_without_secrets(url: str) -> str:
    """The same of a text that is one address, whatever is in it: what ends an address elsewhere is written as %..."""
    return without_secrets(url.translate(_WITHIN))


def _without_keys(text: str) -> str:
    parts, end = [], 0
    for found in _NAME.finditer(text):
        if found.start() < end or not _lets_in(found[1]):
            continue
        if value := _VALUE.match(text, found.end()):
            parts += [text[end : found.end()], HIDDEN]
            end = value.end()
    return "".join([*parts, text[end:]])


def _lets_in(name: str) -> bool:
    """Whether a value of this name lets in; letters may be written %65, lists as name[] and name[0]."""
    for _ in range(4):  # an address within an address within an address
        name = unquote(name)
    name = re.split(r"[?&;#~/]", name.lower())[-1].rstrip("[]0123456789")
    return _SECRET.search(name) is not None and _RECORD.search(name) is None
