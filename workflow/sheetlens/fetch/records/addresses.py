"""The addresses in one field of a record, however people write several of them, or words beside them."""

import itertools
import re

SEPARATORS = r"\s|;,+*\u00b7\u2022\u30fb\u3001\uff0c\uff1b"  # also a no-break space, middle dots, ideographic commas
# Where an address begins: not within another one, but behind a separator, a quote, a bracket or an unquoted attribute.
BEGINS = re.compile(rf"(?:^|(?<=[{SEPARATORS}\"'<>\[\](){{}}])|(?<=\ssrc=)|(?<=\shref=))https?://", re.IGNORECASE)
PIPES = re.compile(r"(?<=\s)\||\|(?=\s)")
ESCAPED = re.compile(r"(?:\\[nrt])+(?=\s|$|https?:)", re.IGNORECASE)  # line ends and tabs that a database spelt out
SIMPLE = re.compile(r"[\w.~:/?#%=@-]*[\w/=-]", re.ASCII)  # one address at most, with nothing around it
CLOSING = {  # what ends an address that stands behind it, in HTML, JSON or Markdown
    '"': re.compile('"'),
    "'": re.compile("'"),
    "<": re.compile(">"),
    "(": re.compile(rf"\)(?=[{SEPARATORS}.]|$)|\s[\"']"),
    "=": re.compile(r"[\s>]"),
}
PICTURE = r"\.(?:jpe?g|png|tiff?|jp2|j2k|jpx|webp|gif|bmp|dng)"  # how the name of a picture's file ends
ENDING = re.compile(rf"{PICTURE}(?![\w-])", re.IGNORECASE)
ENDED = re.compile(rf"{ENDING.pattern}(?=[.:&/{SEPARATORS}]*(?:\s|$)|[|)\]>\"'<])", re.IGNORECASE)
BEHIND = " \t\r\n|;,\"'<>[]{}+*\u00a0\u00b7\u2022\u30fb\u3001\uff0c\uff1b"  # may stand behind an address, no part of it


def addresses(text: str) -> list[str]:
    """The addresses in one field: between pipes, commas, blanks or the like, in HTML, JSON or Markdown, amid words.

    What is no address of the web is given, too, so that it can be counted.
    """
    if SIMPLE.fullmatch(text):
        return [text]
    found: list[str] = []
    for part in PIPES.split(ESCAPED.sub(" ", text.replace("\\/", "/"))):  # JSON may write \/ for /
        begins = [match.start() for match in BEGINS.finditer(part)]
        found += [] if begins else [part.strip(BEHIND)]
        found += [_address(part, begin, end) for begin, end in itertools.pairwise([*begins, len(part)])]
    return list(dict.fromkeys(filter(None, found)))


def _address(text: str, begin: int, end: int) -> str:
    """The address that begins in a text, without what stands behind it. Blanks may stand before a picture's ending."""
    address = text[begin:end]
    if closing := CLOSING.get(text[max(begin - 1, 0)]):
        address = closing.split(address, maxsplit=1)[0]
    elif ended := ENDED.search(address):
        address = address[: ended.end()]
    elif not ENDING.search(address):
        address = address.split()[0]
    return address.strip(BEHIND).rstrip(".&").replace("&amp;", "&")
