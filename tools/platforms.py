"""Whether every dependency of the default install has a wheel wherever Duplex is to run.

    make platforms

Has uv resolve the default install, at its pins, for each system, processor and Python, with wheels
only; nothing is installed. Prints a line for each. Exit code 1 if a wheel is missing that is not
among the exceptions, which docs/operations.md explains.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = {
    "Linux x86-64": "x86_64-manylinux_2_28",
    "Linux arm64": "aarch64-manylinux_2_28",
    "macOS x86-64": "x86_64-apple-darwin",
    "macOS arm64": "aarch64-apple-darwin",
    "Windows x86-64": "x86_64-pc-windows-msvc",
    "Windows arm64": "aarch64-pc-windows-msvc",
}
SOURCES = {"docopt"}
"""Pure Python that is published as source only: pip builds it anywhere, without a compiler."""

EXCEPTIONS: dict[str, set[str]] = {
    "macOS x86-64": {"loudness", "numba", "onnxruntime"},
    "Windows arm64": {"loudness", "numba", "pyyaml", "sentencex", "soxr", "xllamacpp"},
}
"""System → packages without a wheel there."""

_WITHOUT = re.compile(r"(?:Because |and |that )?([\w.-]+)(?:==\S+)? has no (?:usable )?wheels")


def resolve(platform: str, python: str, without: set[str]) -> str:
    """Uv's complaint; empty if all is found."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = Path(folder) / "overrides.txt"
        # A marker that never holds takes a package out, so that the next one shows.
        overrides.write_text("\n".join(f"{name} ; python_version < '3'" for name in without))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "pyproject.toml"),
                *("--constraints", "constraints.txt", "--overrides", str(overrides)),
                *("--only-binary", ":all:", "--python-platform", platform),
                *("--python-version", python),
            ],
            cwd=ROOT,
            # The oldest macOS that onnxruntime is built for.
            env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},
            capture_output=True,
            text=True,
            check=False,
        )
    # uv breaks its lines anywhere.
    return " ".join(done.stderr.split()) if done.returncode else ""


def missing(platform: str, python: str) -> set[str]:
    """Every package without a wheel there."""
    absent: set[str] = set()
    while complaint := resolve(platform, python, absent):
        found = set(_WITHOUT.findall(complaint)) - absent
        if not found:
            raise SystemExit(f"{platform}, Python {python}: {complaint}")
        absent |= found
    return absent


def main() -> int:
    """Look everywhere; tell."""
    failed = False
    for system, platform in SYSTEMS.items():
        for python in PYTHONS:
            absent = missing(platform, python) - SOURCES
            failed = failed or not absent <= EXCEPTIONS.get(system, set())
            words = (
                f"no wheel for {', '.join(sorted(absent))}" if absent else "every wheel is there"
            )
            print(f"{system}, Python {python}: {words}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
