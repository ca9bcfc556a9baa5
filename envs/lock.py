"""Make requirements.lock from pyproject.toml, and the conda environments from the lock: `make lock`."""

import subprocess
import sys
import tomllib
from pathlib import Path

ENVS = {  # environment -> groups of pyproject.toml beside its common dependencies
    "data": [],
    "evidence": ["evidence"],
    "torch": ["torch"],
    "figures": ["figures"],
}
PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
HEADER = """\
# Made by `make lock` from requirements.lock; edit pyproject.toml instead. PyTorch is published as wheels
# only, so pip installs the locked wheels into a Python from conda-forge.
"""


def compile_pins(*arguments: str) -> list[str]:
    """Pins for Linux and macOS and all Pythons we support, as pip reads them."""
    command = [f"{sys.prefix}/bin/uv", "pip", "compile", "--no-header", "--no-annotate"]
    command += ["--universal", "--python-version", "3.11"]
    result = subprocess.run([*command, "pyproject.toml", *arguments], check=True, capture_output=True, text=True)  # noqa: S603
    return result.stdout.splitlines()


def environment(pins: list[str]) -> str:
    """The text of one conda environment."""
    # No channel but conda-forge, and no `nodefaults`: since conda 26.7 that is looked for as a channel of this name.
    lines = ["channels:", "  - conda-forge", "dependencies:", f"  - python {PROJECT['requires-python']}"]
    lines += ["  - pip", "  - pip:"]
    return HEADER + "\n".join(lines + [f'      - "{pin}"' for pin in pins]) + "\n"


def main() -> None:
    """Write the lock, then the environments under its constraint."""
    every = [argument for group in PROJECT["optional-dependencies"] for argument in ("--extra", group)]
    lock = compile_pins("--generate-hashes", *every)
    Path("requirements.lock").write_text("\n".join(lock) + "\n")
    for name, extras in ENVS.items():
        chosen = [argument for group in extras for argument in ("--extra", group)]
        pins = compile_pins("--constraint", "requirements.lock", *chosen)
        Path(f"envs/{name}.yaml").write_text(environment(pins))


if __name__ == "__main__":
    main()
