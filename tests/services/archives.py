"""Darwin Core Archives as the portals write them: GBIF, Symbiota (new and old exports), iDigBio."""

import csv
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

DWC = "http://rs.tdwg.org/dwc/terms/"
AC = "http://rs.tdwg.org/ac/terms/"
NAMESPACES = {
    **dict.fromkeys(
        ("accessURI", "thumbnailAccessURI", "goodQualityAccessURI", "caption", "tag", "providerManagedID", "subtype"),
        AC,
    ),
    **dict.fromkeys(("UsageTerms", "WebStatement", "Owner"), "http://ns.adobe.com/xap/1.0/rights/"),
    **dict.fromkeys(
        ("identifier", "type", "format", "rights", "license", "rightsHolder", "creator", "references"),
        "http://purl.org/dc/terms/",
    ),
    "storageLocation": "https://symbiota.org/terms/",
    "gbifID": "http://rs.gbif.org/terms/1.0/",
}


@dataclass(frozen=True)
class Part:
    """One table of an archive. `key` is the column of the id; `rows` have the id under "id"."""

    name: str
    row_type: str
    rows: list[dict[str, str]]
    delimiter: str = ","
    quote: str = '"'
    encoding: str = "UTF-8"
    header: int = 1
    key: int = 0
    line_end: str = "\n"
    files: int = 1
    defaults: dict[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()  # written as they are, after the rows

    def terms(self) -> list[str]:
        terms = list(dict.fromkeys(term for row in self.rows for term in row if term != "id"))
        return [*terms[: self.key], "id", *terms[self.key :]]

    def texts(self) -> dict[str, bytes]:
        """The files with their contents."""
        names = [self.name] if self.files == 1 else [f"{n}-{self.name}" for n in range(self.files)]
        return {name: self._text(self.rows[n :: self.files]) for n, name in enumerate(names)}

    def _text(self, rows: list[dict[str, str]]) -> bytes:
        text, terms = io.StringIO(newline=""), self.terms()
        lines = [["a header line"] * len(terms)] * (self.header - 1) + [terms] * (self.header > 0)
        lines += [[row.get(term, "") for term in terms] for row in rows]
        if self.quote:
            csv.writer(text, delimiter=self.delimiter, quotechar=self.quote, lineterminator=self.line_end).writerows(
                lines
            )
        else:
            text.write("".join(self.delimiter.join(line) + self.line_end for line in lines))
        text.write("".join(line + self.line_end for line in self.lines))
        return text.getvalue().encode(self.encoding)

    def xml(self, element: str) -> str:
        key = "id" if element == "core" else "coreid"
        escaped = {"\t": r"\t", "\n": r"\n", "\r\n": r"\r\n"}
        attributes = {
            "encoding": self.encoding,
            "fieldsTerminatedBy": escaped.get(self.delimiter, self.delimiter),
            "linesTerminatedBy": escaped[self.line_end],
            "fieldsEnclosedBy": self.quote,
            "ignoreHeaderLines": str(self.header),
            "rowType": self.row_type,
        }
        fields = [
            (term, f' index="{column}"', self.defaults.get(term))
            for column, term in enumerate(self.terms())
            if term != "id"
        ]
        fields += [(term, "", value) for term, value in self.defaults.items() if term not in self.terms()]
        return (
            f"<{element} {' '.join(f'{name}={quoteattr(value)}' for name, value in attributes.items())}><files>"
            + "".join(f"<location>{name}</location>" for name in self.texts())
            + f'</files><{key} index="{self.key}"/>'
            + "".join(
                f'<field{index} term="{NAMESPACES.get(term, DWC)}{term}"'
                + (f" default={quoteattr(default)}" if default else "")
                + "/>"
                for term, index, default in fields
            )
            + f"</{element}>"
        )


def write_archive(path: Path, core: Part, *extensions: Part, folder: str = "", meta: str | None = None) -> Path:
    """Write an archive as a zip file; `meta` takes the place of the meta.xml."""
    if meta is None:
        tables = core.xml("core") + "".join(part.xml("extension") for part in extensions)
        meta = (
            f'<?xml version="1.0"?><archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="eml.xml">{tables}</archive>'
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for part in (core, *extensions):
            for name, text in part.texts().items():
                file.writestr(folder + name, text)
        file.writestr(folder + "meta.xml", meta)
        file.writestr(folder + "eml.xml", "<eml/>")
    return path


def occurrences(rows: list[dict[str, str]], **changes) -> Part:
    """A core as Symbiota writes it."""
    return Part(**({"name": "occurrences.csv", "row_type": f"{DWC}Occurrence", "rows": rows} | changes))


def media(rows: list[dict[str, str]], **changes) -> Part:
    """Media as Symbiota writes them today; older exports call the file images.csv."""
    return Part(**({"name": "multimedia.csv", "row_type": f"{AC}Multimedia", "rows": rows} | changes))


def gbif(rows: list[dict[str, str]], pictures: list[dict[str, str]]) -> tuple[Part, Part, Part]:
    """Core, media and verbatim table of a GBIF download."""
    style = {"delimiter": "\t", "quote": ""}
    return (
        occurrences(rows, name="occurrence.txt", **style),
        media(pictures, name="multimedia.txt", row_type="http://rs.gbif.org/terms/1.0/Multimedia", **style),
        occurrences([row | {"catalogNumber": "as published"} for row in rows], name="verbatim.txt", **style),
    )
