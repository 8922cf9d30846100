"""A model's fingerprint: the same digest means the same numbers, so results may be kept under it."""

import hashlib
import json
import os
import re
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from backend.contract.progress import Progress, silent
from backend.home import home
from backend.models.disk import sha256_of
from backend.models.quantization import bitsandbytes_version
from backend.models.weights import weight_files
from backend.whole_file import write_whole

LENGTH = 16
# What transformers reads beside the weights: the config, the tokenizer and its chat template.
READ_TOO = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


def fingerprint(identity: str, dtype: str, quantization: str, device: str) -> str:
    """Digest of the weights' identity and of all else that moves the numbers, library versions included.

    Raises ModelError where a quantized model is asked for and bitsandbytes is not installed.
    """
    parts = [identity, dtype, quantization, device, version("torch"), version("transformers")]
    if quantization != "none":
        parts.append(bitsandbytes_version())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:LENGTH]


def folder_identity(folder: Path, progress: Progress | None = silent) -> str:
    """Digest of what a model folder computes with: its weights, its config, its tokenizer.

    Empty where `progress` is None, which hashes nothing, and a file's digest is not noted.
    """
    files = [*weight_files(folder), *(folder / name for name in READ_TOO)]
    digests = [(file.name, content_digest(file, progress)) for file in files if file.is_file()]
    if not all(digest for _, digest in digests):
        return ""
    return hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in digests).encode()).hexdigest()


def content_digest(file: Path, progress: Progress | None = silent) -> str:
    """SHA-256 of a file, noted in home()/fingerprints by its real path, size and time of change.

    With `progress` None it is not computed: empty where it is not noted. Raises what `progress` raises.
    """
    real = os.path.realpath(file)
    stat = os.stat(real)
    state = [real, stat.st_size, stat.st_mtime_ns]
    note = home() / "fingerprints" / f"{hashlib.sha256(os.fsencode(real)).hexdigest()[:32]}.json"
    try:
        kept = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    if isinstance(kept, dict) and kept.get("state") == state and _is_digest(kept.get("sha256")):
        return str(kept["sha256"])
    if progress is None:
        return ""
    digest = sha256_of(Path(real), progress, f"Reading {file.name} to know its content")
    with suppress(OSError):  # without the note, the file is read again the next time
        write_whole(note, json.dumps({"state": state, "sha256": digest}).encode())
    return digest


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None
