"""A model's fingerprint: models with the same digest give the same numbers, so it is part of a result's key."""

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
# Files that transformers reads in addition to the weights: the config, the tokenizer and its chat template.
OTHER_FILES = (
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
    """Digest of the weights' identity, dtype, quantization, device and library versions: all that changes the numbers.

    Raises ModelError for a quantized model if bitsandbytes is not installed.
    """
    parts = [identity, dtype, quantization, device, version("torch"), version("transformers")]
    if quantization != "none":
        parts.append(bitsandbytes_version())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:LENGTH]


def folder_identity(folder: Path, progress: Progress | None = silent) -> str:
    """Digest of a model folder's weights, config and tokenizer.

    With `progress` None nothing is hashed: the result is empty unless the digest of every file is cached.
    """
    files = [*weight_files(folder), *(folder / name for name in OTHER_FILES)]
    digests = [(file.name, content_digest(file, progress)) for file in files if file.is_file()]
    if not all(digest for _, digest in digests):
        return ""
    return hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in digests).encode()).hexdigest()


def content_digest(file: Path, progress: Progress | None = silent) -> str:
    """SHA-256 of a file, cached in home()/fingerprints by its real path, size and modification time.

    With `progress` None it is not computed: the result is empty unless it is cached. Raises what `progress` raises.
    """
    real = os.path.realpath(file)
    stat = os.stat(real)
    state = [real, stat.st_size, stat.st_mtime_ns]
    cache_file = home() / "fingerprints" / f"{hashlib.sha256(os.fsencode(real)).hexdigest()[:32]}.json"
    try:
        cached = json.loads(cache_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        cached = {}
    if isinstance(cached, dict) and cached.get("state") == state and _is_digest(cached.get("sha256")):
        return str(cached["sha256"])
    if progress is None:
        return ""
    digest = sha256_of(Path(real), progress, f"Computing the SHA-256 of {file.name}")
    with suppress(OSError):  # if it cannot be cached, the file is hashed again the next time
        write_whole(cache_file, json.dumps({"state": state, "sha256": digest}).encode())
    return digest


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None
