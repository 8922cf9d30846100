"""Find models in the Hugging Face hub's cache, or download them: safetensors only, never pickles or code."""

import os
import sys
from pathlib import Path

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import ModelInfo

from backend.contract.errors import DownloadError, ModelError, ResourceError, shown
from backend.contract.progress import Progress
from backend.models.config import check_config
from backend.models.disk import need_disk_space
from backend.models.download_process import bytes_under, run_download
from backend.models.own_code import refuse_own_code
from backend.models.weights import weight_files

TIMEOUT = 4.0
NAMED_TEMPLATES = "additional_chat_templates"
ROOT = Path(__file__).resolve().parents[2]
_unreached: set[str] = set()  # endpoints that did not answer since this process started


def hub_cache() -> Path:
    """The hub's own cache folder, shared with other programs."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache)
    base = os.environ.get("HF_HOME")
    return (Path(base) if base else Path.home() / ".cache" / "huggingface") / "hub"


def find_snapshot(repo: str) -> Path | None:
    """The downloaded folder of `repo`'s main branch, named by its commit. None if a file is missing."""
    snapshot = _snapshot(repo)
    return snapshot if snapshot and (snapshot / "config.json").exists() and _complete(snapshot) else None


def fetch_snapshot(repo: str, progress: Progress) -> Path:
    """Download `repo` (safetensors, configs, tokenizer) into the hub's cache and return its folder.

    Raises DownloadError if it cannot be downloaded, ModelError if it has no safetensors or needs its own code.
    """
    progress(f"Looking for {repo} on the hub")
    files = {file.rfilename: file.size or 0 for file in _info(repo).siblings or []}
    wanted = [name for name in files if _wanted(name)]
    if not any(name.endswith(".safetensors") for name in wanted):
        pickled = any(name.endswith((".bin", ".pt", ".pth")) for name in files)
        reason = "only pickled weights, which can run code when read" if pickled else "no safetensors weights"
        raise ModelError(f"{repo} has {reason}. Choose a repository with safetensors.")
    total = sum(files[name] for name in wanted)
    need_disk_space(hub_cache(), total, repo)
    _download(repo, ["config.json"], progress, total)
    if snapshot := _snapshot(repo):
        check_config(snapshot)
        refuse_own_code(snapshot)
    _download(repo, wanted, progress, total)
    folder = find_snapshot(repo)
    if folder is None:
        raise DownloadError(
            f"The download of {repo} is incomplete. Try again: the files that are complete are not downloaded again."
        )
    return folder


def fetch_file(repo: str, file: str, folder: Path, total: int, progress: Progress) -> Path:
    """Download one file of a repository into `folder`.

    Raises DownloadError, at once if the hub did not answer an earlier request of this process.
    """
    if _endpoint() in _unreached:
        raise DownloadError(_unreachable(repo))
    progress(f"Looking for {repo} on the hub")
    _info(repo)
    _run(["file", repo, str(folder), file], folder, progress, f"Downloading {file}", total)
    return folder / file


def _download(repo: str, names: list[str], progress: Progress, total: int) -> None:
    watched = _repo_folder(repo) / "blobs"
    _run(["snapshot", repo, str(hub_cache()), *names], watched, progress, f"Downloading {repo}", total)


def _run(arguments: list[str], watched: Path, progress: Progress, message: str, total: int) -> None:
    def tick() -> None:
        progress(message, min(bytes_under(watched), total), total)

    repo, command = arguments[1], [sys.executable, "-m", "backend.models.hub_download", *arguments]
    ended = run_download(command, {"PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}, tick)
    if not ended.status:
        return
    if "GatedRepoError" in ended.errors:
        raise DownloadError(_gated(repo))
    if "No space left on device" in ended.errors:
        raise ResourceError(
            f"The disk of {watched} is full while downloading {repo}. Free some space and try again."
        )
    lines = ended.errors.strip().splitlines() or ["no reason"]
    raise DownloadError(
        f"{repo} could not be downloaded from the hub: {shown(lines[-1], 300)}. "
        "Check the network and try again: it continues where it stopped."
    )


def _info(repo: str) -> ModelInfo:
    endpoint = _endpoint()
    try:
        return HfApi(endpoint=endpoint).model_info(repo, timeout=TIMEOUT, files_metadata=True)
    except GatedRepoError as error:
        raise DownloadError(_gated(repo)) from error
    except RepositoryNotFoundError as error:
        raise DownloadError(
            f"The hub has no model {shown(repo)}, or it is private. Check the id, or set HF_TOKEN."
        ) from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        _unreached.add(endpoint)
        raise DownloadError(_unreachable(repo)) from error


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def _unreachable(repo: str) -> str:
    return (
        f"{repo} is not in the cache, and the hub ({_endpoint()}) cannot be reached. Check the network, "
        "or use a catalogue model, a local folder or a .gguf file."
    )


def _gated(repo: str) -> str:
    return f"{repo} is gated: accept its terms on the hub, then set HF_TOKEN to a token of your account."


def _repo_folder(repo: str) -> Path:
    return hub_cache() / f"models--{repo.replace('/', '--')}"


def _snapshot(repo: str) -> Path | None:
    """The snapshot folder of the main branch, complete or not."""
    folder = _repo_folder(repo)
    try:
        commit = (folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return folder / "snapshots" / commit


def _wanted(name: str) -> bool:
    # Files in folders, and "consolidated" ones, hold the same weights in other formats.
    if name.startswith(f"{NAMED_TEMPLATES}/") and name.count("/") == 1:
        return name.endswith(".jinja")
    if "/" in name or name.startswith("consolidated"):
        return False
    return name.endswith((".safetensors", ".json", ".jinja", ".model")) or name in ("merges.txt", "vocab.txt")


def _complete(snapshot: Path) -> bool:
    try:
        files = weight_files(snapshot)
    except ModelError:
        return False
    return all(file.exists() for file in files)
