"""List what each locked package says of its licence, in envs/licences.tsv: `make lock` calls it."""

import re
from importlib import metadata
from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)")
UNKNOWN = "not installed here (another platform or Python)"


def licence(name: str) -> str:
    """An SPDX expression where a package has one, else its classifiers, its free text or its licence's first line."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return UNKNOWN
    classes = [line.split(" :: ")[-1] for line in said.get_all("Classifier", []) if line.startswith("License ::")]
    free = (said.get("License") or "").strip().split("\n")[0].removeprefix("UNKNOWN")  # what old tools wrote for none
    return said.get("License-Expression") or ", ".join(sorted(classes)) or free or first_line(name) or "says nothing"


def first_line(name: str) -> str:
    """The first line of the licence's text that a package brings, "" without one."""
    texts = [file for file in metadata.files(name) or [] if file.name.upper().startswith(("LICENSE", "LICENCE"))]
    lines = [line.strip() for text in texts for line in text.read_text().splitlines()]
    return next(filter(None, lines), "")


def main() -> None:
    """Write name, version and licence of every pin."""
    pins = filter(None, map(PIN.match, Path("requirements.lock").read_text().splitlines()))
    rows = [("package", "version", "licence"), *((*pin.groups(), licence(pin[1])) for pin in pins)]
    Path("envs/licences.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
