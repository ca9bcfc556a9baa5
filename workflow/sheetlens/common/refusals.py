"""Why a file is refused: codes, and the one table of the sentences that people read.

Programs compare codes; a sentence may be reworded at any time.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sheetlens.common.errors import UserError
from sheetlens.common.secrets import without_secrets

OTHER = "other"  # what gives its own sentence, such as a decision of a reviewer
# code -> (heading under which such files are counted, sentence about one of them)
REASONS = {
    # What the file is.
    "empty": ("empty", "the file is empty"),
    "few_bytes": ("hardly any bytes", "the file has only {bytes} bytes"),
    "not_a_picture": (
        "not a picture that can be read",
        "not a JPEG, PNG, TIFF, JPEG 2000 or WebP picture{what}",
    ),
    "camera_raw": (
        "a camera raw file",
        "a camera raw file ({what}): export it as TIFF or JPEG, or install Sheetlens with the extra `raw`",
    ),
    "odd_raw": (
        "a camera raw file",
        "a camera raw file ({what}) that LibRaw cannot read ({why}): export it as TIFF or JPEG",
    ),
    "unread_tiff": (
        "a TIFF of a kind that cannot be read",
        "a TIFF of a kind that cannot be read ({what}): export it with 8 bits and LZW or no compression",
    ),
    "unread_jpeg": (
        "a JPEG of a kind that cannot be read",
        "a JPEG of a kind that cannot be read ({what}): export it as an ordinary JPEG or as TIFF",
    ),
    "animation": ("an animation", "an animation: give one picture"),
    "not_a_file": ("not a file", "not a file but a folder, pipe or device"),
    # What decoding costs.
    "too_large": ("too large", "too large: {what}more than {megapixels} megapixels"),
    "memory": ("needs more memory", "needs more memory than one file may take"),
    "slow": ("takes too long", "takes more than {seconds} seconds to decode"),
    "hung": ("its decoder hung", "its decoder hung: no answer in {seconds} seconds"),
    "crashed": ("its decoder crashed", "its decoder crashed ({signal})"),
    # What the picture is.
    "truncated": ("truncated", "truncated: the file ends before the picture does"),
    "damaged": ("damaged", "damaged: {what}"),
    "bits": ("32-bit pixels", "32-bit pixels: save it with 8 or 16 bits"),
    "too_small": ("too small", "too small: {width}x{height} pixels, less than {least} on a side"),
    "too_narrow": ("too long and narrow", "too long and narrow: {width}x{height} pixels, more than {aspect} to 1"),
    "blank": ("blank", "blank: all pixels have nearly the same lightness"),
    "uniform": ("nearly uniform", "nearly uniform: there is hardly anything to see"),
    "drawing": ("a drawing or placeholder", "a drawing or placeholder: large areas of exactly one colour"),
    "placeholder": ("a placeholder", "a placeholder: {count} files or more are this picture"),
    # Where the file is.
    "changed": ("changed meanwhile", "the file changed after it was listed: run again"),
    "unreadable": ("cannot be read", "cannot be read: {why}"),
    "folder_unreadable": (
        "a folder that cannot be listed",
        "the folder cannot be listed, nor what is in it counted: {why}; make it readable and run again",
    ),
    "folder_again": ("a link back to its own folder", "a link to a folder that holds it: it was not followed again"),
    "dead_link": (
        "a link that leads nowhere",
        "a link that leads nowhere: connect the disk that it names, or take it out, and run again",
    ),
    "name_not_utf8": ("a file name that is not UTF-8", "the file name is not UTF-8: rename it"),
    "no_class": ("not in a class folder", "not in a class folder"),
    "not_labelled": ("without a label", "the table of labels has no label for it"),
    "not_fetched": ("not fetched, or not kept", "its row names no file: it was not fetched, or not kept"),
    # What a row says.
    "name_leads_out": (
        "a name that leads elsewhere",
        "the name would lead out of the data set's folder, or is none",
    ),
    "name_characters": (
        "a name that is not for files", "the name has characters or parts that are not for file names",
    ),
    "name_long": ("a name that is too long", "the name is too long"),
    "name_link": ("a name that leads elsewhere", "the name leads out of the data set's folder through a link"),
    "name_folder": ("a name of file and folder", "the name is that of a folder and of a file at once"),
    "name_ours": (
        "the name of the checksums",
        "the name is that of the list of checksums (SHA256SUMS): give another image_id",
    ),
    "no_picture_name": ("no picture by its name", "no picture by its name"),
    "link": ("a link or device", "a link or device"),
    "other_kind": ("another kind of file", "the server answered with another kind of file"),
    "encrypted": ("encrypted", "it is encrypted: unpack it with its password, and give the folder"),
    "packed_otherwise": (
        "packed in a way that is not read",
        "it is packed in a way that is not read (method {what}): unpack the archive, and give the folder",
    ),
    "member_again": ("a name that is taken", "another member of the archive has this name: only the first is kept"),
    "row_again": ("a second row of its image_id", "a second row of its image_id"),
    "no_address": ("no address", "no address is given"),
    "not_an_address": ("not a web address", "not a web address: {what}"),
    "scheme": ("not a web address", "only http and https are fetched, not '{what}'"),
    "no_host": ("not a web address", "the address names no host: {what}"),
    "private": (
        "a private address",
        "{what} is not a public address: allow its network in the config (fetch.allow) if it is meant",
    ),
    "iiif_manifest": (
        "a manifest in place of an image service",
        "the address of a manifest (IIIF Presentation): give that of the image service it names, ending in /info.json",
    ),
    # What a server answered.
    "status": ("refused by the server", "{host} answered {status}"),
    "no_file": ("an answer without the file", "{host} answered {status} without the file"),
    "firewall": (
        "a firewall's challenge",
        "{host} answered with a challenge for browsers (firewall, status {status}), not the file",
    ),
    "html": ("a web page in place of the file", "{host} answered with an HTML page in place of {what}"),
    "not_json": ("no data", "{host} answered with something that is no JSON in place of data"),
    "svg": (
        "a drawing in place of the photograph",
        "a drawing (SVG) in place of the photograph: the service does not have it",
    ),
    "redirects": ("redirected without end", "redirected more than {hops} times"),
    "redirect": ("redirected to what is no address", "redirected, and {what}"),
    "connection": ("the connection failed", "the connection failed: {what}"),
    "no_answer": ("no answer", "no answer for {seconds:.0f} seconds"),
    "too_slow": ("too slow", "slower than {slowest:,} bytes a second"),
    "ended_early": ("broken off", "ended after {bytes:,} of {total:,} bytes"),
    "not_continued": ("broken off", "{host} did not continue the file where it broke off"),
    "no_bytes": ("an empty answer", "the answer was empty"),
    "too_many_bytes": ("too many bytes", "larger than the limit of {limit:,} bytes"),
    "announced": ("too many bytes", "announces {total:,} bytes, more than the {limit:,} allowed or expected"),
    "encoded": ("compressed", "compressed ({what}), though it was asked for as it is"),
    "not_as_expected": ("not the file expected", "has {what} expected"),
    "no_image": ("not a picture that can be read", "no image that can be read{what}"),
    "broken_image": ("a broken image", "broken image: {what}"),
    "host_down": ("a server that fails", "{host} failed {times} times in a row: run again later"),
    "after_attempts": ("failed each time", "{what} ({attempts} attempts)"),
    "no_address_gave_it": ("no address gave the file", "{what}"),
    "unexpected": ("what the program did not expect", "the program stumbled over it ({what}): please report it"),
    OTHER: ("for another reason", "{what}"),
}  # fmt: skip
COSTLY = ("too_large", "memory", "slow", "hung", "crashed", "not_a_file")  # not worth another look
OURS = ("private",)  # refused by the config here, which may change before the next run
SHOWN = 5  # reasons that a summary names


class Reason(str):
    """The sentence about one file, with its code: for programs, which must not read sentences."""

    code: str

    def __new__(cls, code: str, **facts: Any) -> "Reason":
        """Put the facts into the sentence of the table."""
        made = super().__new__(cls, without_secrets(REASONS[code][1].format(**facts)))
        made.code = code
        return made

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Reason":
        """The reason that a row gives."""
        made = super().__new__(cls, row["reason"])
        made.code = row["reason_code"]
        return made


class RefusedFileError(UserError):
    """One file that is refused: its message is the reason."""

    def __init__(self, reason: str) -> None:
        """Take a Reason, or a sentence of one's own."""
        super().__init__(reason)
        self.reason = reason


def refused(reason: str) -> dict[str, str]:
    """The columns of a row that is refused."""
    return {"status": "refused", "reason": str(reason), "reason_code": code_of(reason)}


def code_of(reason: str) -> str:
    """The code of a reason, OTHER for a sentence of somebody's own, "" for none."""
    return getattr(reason, "code", OTHER if reason else "")


def heading(code: str, reason: str = "") -> str:
    """What files of a code are counted under; a sentence of somebody's own is its own heading."""
    return REASONS[code][0] if code in REASONS and code != OTHER else reason.split(":")[0]


@dataclass(frozen=True)
class Tally:
    """What became of files: how many were found, used and refused, and the reasons, most frequent first."""

    found: int
    used: int
    reasons: tuple[tuple[str, int, str], ...]  # heading, files, one of the sentences

    @property
    def refused(self) -> int:
        """Files that are not used."""
        return self.found - self.used

    def lines(self) -> list[str]:
        """The same for a person, in lines."""
        said = [f"Files found: {self.found:,}. Used: {self.used:,}. Refused: {self.refused:,}."]
        for name, count, example in self.reasons[:SHOWN]:
            said.append(f"  {count:,} {name}" + (f", for instance: {example}" if example != name else ""))
        if more := self.reasons[SHOWN:]:
            said.append(f"  {sum(count for _, count, _ in more):,} for {len(more)} further reasons")
        return said


def tally(rows: Iterable[Mapping[str, Any]]) -> Tally:
    """Count the rows of a listing or manifest; a row at a time, so that any number may come."""
    found = used = 0
    counts, examples = Counter[str](), dict[str, str]()
    for row in rows:
        found += 1
        if row["status"] == "ok":
            used += 1
            continue
        name = heading(row.get("reason_code") or OTHER, row["reason"])
        counts[name] += 1
        examples.setdefault(name, row["reason"])
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return Tally(found, used, tuple((name, count, examples[name]) for name, count in ordered))
