"""Build .venv from requirements.lock; `make` calls it. Any Python can read this file, to say what is missing."""

import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
DISK_GB = 10  # PyTorch with its CUDA libraries takes most of the 6.5 GB in .venv; pip needs room beside it


def stop(sentence):
    """End with one sentence."""
    sys.exit("sheetlens: " + sentence)


def main():
    """Check what a bare machine may lack, then install."""
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        stop(
            "this Python is %d.%d, but 3.11, 3.12 or 3.13 is needed: install one and name it,"
            " for example 'make demo PYTHON=python3.12'." % version
        )
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        stop(
            "this Python has no venv module: install it (on Debian and Ubuntu: apt install python3-venv),"
            " then run the same command again."
        )
    free = shutil.disk_usage(".").free / 1e9
    if free < DISK_GB:
        stop("the packages need %d GB of disk, here are %.1f GB free: make room first." % (DISK_GB, free))
    sys.stdout.write("Installing the locked packages into .venv (about 3 GB to download, once).\n")
    sys.stdout.flush()
    if os.path.realpath(sys.prefix) != os.path.realpath(".venv"):  # a newer lock is installed by .venv's own Python
        venv.create(".venv", with_pip=True)
    pip = [".venv/bin/python", "-m", "pip", "install", "--disable-pip-version-check"]
    for arguments in (
        ["--require-hashes", "-r", "requirements.lock"],
        ["--quiet", "--no-deps", "--no-build-isolation", "--editable", "."],
    ):
        if subprocess.call(pip + arguments):  # noqa: S603
            stop("pip could not install the packages (it says why above): run the same command again.")


if __name__ == "__main__":
    main()
