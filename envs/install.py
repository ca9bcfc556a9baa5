"""Build .venv from requirements.lock; `make` calls it. Any Python can read this file, to say what is missing.

uv installs the packages: it loads several at once and keeps each that is whole, so that an installation that was
stopped continues. It is the one on the PATH, or the locked one, which pip puts into .venv first.
"""

import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
WITHOUT_WHEELS = (3, 14)  # from here on immutables, which Snakemake needs, is built from its source
WITH_WHEELS = ">=3.11,<3.14"
DISK_GB = 10  # PyTorch with its CUDA libraries takes most of the 7 GB in .venv; uv needs room beside it
PYTHON = ".venv/bin/python"


def stop(sentence):
    """End with one sentence."""
    sys.exit("sheetlens: " + sentence)


def unfit():
    """Say why this Python cannot be used; empty if it can."""
    version = sys.version_info[:2]
    if not OLDEST <= version <= NEWEST:
        return "this Python is %d.%d, but 3.11, 3.12, 3.13 or 3.14 is needed" % version
    if version >= WITHOUT_WHEELS and not compiles():
        return (
            "with Python %d.%d one package is built from its source, and there is no C compiler or no Python.h here"
            " (on Debian and Ubuntu: apt install gcc python3-dev)" % version
        )
    return ""


def compiles():
    """Whether C modules for this Python can be built."""
    import sysconfig

    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return bool(shutil.which(compiler)) and os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))


def works(command):
    """Whether a program is there and whole; what a stopped installation left may be neither."""
    try:
        with open(os.devnull, "w") as nowhere:
            return subprocess.call(command + ["--version"], stdout=nowhere, stderr=nowhere) == 0
    except OSError:
        return False


def run(command):
    """Run a command that says itself what goes wrong."""
    if subprocess.call(command):
        stop(
            "the packages could not be installed (the reason stands above): the same command continues from here."
            " Behind a mirror of PyPI, name it in UV_DEFAULT_INDEX: uv does not read pip's configuration."
        )


def ready(reason):
    """Whether .venv has a Python already: of this one's version or, where this one is unfit, one that fits."""
    command = [PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        version = tuple(map(int, subprocess.check_output(command).decode().split(".")))
    except (OSError, ValueError, subprocess.CalledProcessError):
        return False
    return OLDEST <= version <= NEWEST if reason else version == sys.version_info[:2]


def locked_uv():
    """Make .venv and put the locked uv into it."""
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        stop(
            "this Python has no venv module: install it (on Debian and Ubuntu: apt install python3-venv),"
            " then run the same command again."
        )
    if not ready(""):
        venv.create(".venv", clear=True)
    pip = [PYTHON, "-m", "pip"]
    if not works(pip):
        run([PYTHON, "-m", "ensurepip"])
    with open("requirements.lock") as file:
        pins = file.read().replace("\\\n", "").split("\n")
    with open(".venv/uv.txt", "w") as file:
        file.write(next(pin for pin in pins if pin.startswith("uv==")))
    quiet = ["--quiet", "--disable-pip-version-check"]
    run(pip + ["install"] + quiet + ["--force-reinstall", "--require-hashes", "--no-deps", "-r", ".venv/uv.txt"])
    return ".venv/bin/uv"


def main():
    """Check what a bare machine may lack, then install."""
    for name in ("UV_SYSTEM_CERTS", "UV_NATIVE_TLS"):  # the machine's certificates, as pip: a proxy may have its own
        os.environ.setdefault(name, "1")
    uv = "uv" if works(["uv"]) else None
    reason = unfit()
    if reason and not uv:
        stop(
            reason + ": install another Python and name it, for example 'make demo PYTHON=python3.12',"
            " or install uv, which brings one."
        )
    free = shutil.disk_usage(".").free / 1e9
    if free < DISK_GB:
        stop("the packages need %d GB of disk, here are %.1f GB free: make room first." % (DISK_GB, free))
    sys.stdout.write("Installing the locked packages into .venv (about 3.5 GB to download, once).\n")
    sys.stdout.flush()
    if not uv:
        uv = locked_uv()
    elif not ready(reason):  # uv finds a Python that fits, or brings one
        run([uv, "venv", "--quiet", "--clear", "--python", WITH_WHEELS if reason else sys.executable, ".venv"])
    install = [uv, "pip", "install", "--python", PYTHON]
    run(install + ["--require-hashes", "-r", "requirements.lock"])
    run(install + ["--quiet", "--no-deps", "--no-build-isolation", "--editable", "."])


if __name__ == "__main__":
    main()
