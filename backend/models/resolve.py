"""Resolve a model spec on this machine: its folder, dtype, device and fingerprint."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backend.contract.errors import ModelError, ResourceError, shown
from backend.contract.model import ModelSpec
from backend.contract.progress import Progress, silent
from backend.home import home
from backend.models.accelerators import accelerators
from backend.models.catalogue import catalogue
from backend.models.config import check_config
from backend.models.fingerprint import content_digest, fingerprint, folder_identity
from backend.models.hub import find_snapshot
from backend.models.memory import OFFLOAD, total_memory
from backend.models.weights import BYTES_OF, Weights, read_weights

Kind = Literal["catalogue", "hub", "folder", "gguf"]
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
GIGABYTE = 1e9
OFFERED = "LETTERHEADS_MODELS"
"""Comma-separated names that are allowed in addition to the catalogue. Unset: any hub id, folder or file."""
CUT_BY = "tokenizer.json"
"""What cuts a text of a hub's or a folder's model. Results of when a class of transformers did are not used."""


@dataclass(frozen=True)
class Resolved:
    """A model spec with every `auto` decided.

    Attributes:
        name: as it was given.
        kind: where the weights come from.
        folder: the Hugging Face folder to load, None until it is downloaded.
        dtype: float32, bfloat16 or float16.
        device: cpu, cuda, mps or offload.
        quantization: one of QUANTIZATIONS.
        reason: why this dtype, in words.
        parameters: number of weights; 0 for a hub model that is not downloaded yet.
        weight_bytes: their size in memory; an upper bound for a quantized model that is not downloaded yet.
        fingerprint: digest of everything that changes the numbers; empty if the model is not downloaded, or its files
            are not hashed.
    """

    name: str
    kind: Kind
    folder: Path | None
    dtype: str
    device: str
    quantization: str
    reason: str
    parameters: int
    weight_bytes: int
    fingerprint: str


def resolve(spec: ModelSpec, progress: Progress | None = silent) -> Resolved:
    """Resolve `spec` on this machine, without loading weights.

    A folder's files, or a GGUF file, are hashed once, which takes minutes for large ones; with `progress` None they are
    not hashed. Raises ModelError for an unknown name, a folder without a model, or damaged weights; ResourceError for a
    device that this machine does not have.
    """
    kind = kind_of(spec.name)
    folder = _folder(spec.name, kind, progress)
    weights = read_weights(folder) if folder else _promised(spec.name, kind)
    if folder:
        check_config(folder)
    device = _device(spec.device, spec.quantization)
    dtype, reason = _dtype(spec, weights, device)
    identity = _identity(spec.name, kind, folder, progress)
    return Resolved(
        name=spec.name,
        kind=kind,
        folder=folder,
        dtype=dtype,
        device=device,
        quantization=spec.quantization,
        reason=reason,
        parameters=weights.parameters,
        weight_bytes=weights.bytes_as(dtype, spec.quantization),
        fingerprint=fingerprint(identity, dtype, spec.quantization, device) if identity else "",
    )


def kind_of(name: str) -> Kind:
    """Whether `name` is a catalogue name, a GGUF file, a folder or a hub id, tried in this order; else ModelError.

    If LETTERHEADS_MODELS is set, only the catalogue and its names are allowed. Other names are not looked up on the
    disk: the error is the same for a file that exists and one that does not.
    """
    if name in catalogue():
        return "catalogue"
    offered = os.environ.get(OFFERED)
    if offered is not None:
        listed = [*filter(None, map(str.strip, offered.split(",")))]
        if name not in listed:
            raise ModelError(
                f"The model {shown(name)} is not offered here. Choose one of {', '.join([*catalogue(), *listed])}."
            )
    path = Path(name).expanduser() if name.startswith("~/") else Path(name)
    try:
        if path.is_file() and path.suffix.lower() == ".gguf":
            return "gguf"
        if path.is_dir():
            return "folder"
    except OSError:  # a name too long for a path
        pass
    if HUB_ID.fullmatch(name) and not name.lower().endswith(".gguf"):
        return "hub"
    raise ModelError(
        f"There is no model {shown(name)}. Choose one of {', '.join(catalogue())}, or give a hub id like "
        "org/name, a folder with config.json and safetensors weights, or a .gguf file."
    )


def converted_folder(name: str, kind: Kind, progress: Progress | None = silent) -> Path | None:
    """Where a GGUF's unpacked weights are saved; the name holds the start of the GGUF's SHA-256.

    None where `progress` is None and that is not known.
    """
    if kind == "catalogue":
        return home() / "models" / f"{name}-{catalogue()[name].gguf.sha256[:12]}"
    digest = content_digest(Path(name).expanduser(), progress)
    return home() / "models" / f"gguf-{digest[:24]}" if digest else None


def _folder(name: str, kind: Kind, progress: Progress | None) -> Path | None:
    if kind == "hub":
        return find_snapshot(name)
    if kind == "folder":
        return Path(name).expanduser()
    folder = converted_folder(name, kind, progress)
    return folder if folder is not None and folder.is_dir() else None


def _promised(name: str, kind: Kind) -> Weights:
    """What the catalogue says about weights that are not downloaded yet."""
    parameters = catalogue()[name].parameters if kind == "catalogue" else 0
    return Weights(files=(), parameters=parameters, linear=0)


def _identity(name: str, kind: Kind, folder: Path | None, progress: Progress | None) -> str:
    if kind == "catalogue":
        return f"gguf {catalogue()[name].gguf.sha256}"
    if kind == "gguf":
        digest = content_digest(Path(name).expanduser(), progress)
        return digest and f"gguf {digest}"
    if folder is None:
        return ""
    if kind == "hub":  # a snapshot's folder is named by its commit
        return f"hub {name} {folder.name} {CUT_BY}"
    digest = folder_identity(folder, progress)
    return digest and f"folder {digest} {CUT_BY}"


def usable_devices() -> tuple[str, ...]:
    """The values of `ModelSpec.device` that can be used on this machine."""
    found = accelerators()
    available = {"cuda": bool(found.cards), OFFLOAD: bool(found.cards), "mps": found.mps}
    return ("auto", "cpu", *(device for device in available if available[device]))


def _device(wanted: str, quantization: str) -> str:
    if wanted == "cpu":
        return wanted
    usable = usable_devices()
    if wanted == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if device in usable)
    if wanted not in usable:
        raise ResourceError(f"This machine has no device {wanted}. Use device {' or '.join(usable)}.")
    if wanted == OFFLOAD and quantization != "none":
        raise ModelError(
            f"Device {OFFLOAD} cannot be combined with quantization {quantization}: bitsandbytes does not move "
            "quantized weights off the graphics card. Use device cuda, or quantization none."
        )
    return wanted


def _dtype(spec: ModelSpec, weights: Weights, device: str) -> tuple[str, str]:
    if spec.dtype != "auto":
        return spec.dtype, f"{spec.dtype}: as asked"
    if not weights.parameters:
        return "float32", "float32: if it fits in memory"
    needed, total = weights.bytes_as("float32", spec.quantization), total_memory(device)
    size = f"{needed / GIGABYTE:.1f} GB of weights"
    where = f"{total / GIGABYTE:.0f} GB of {'graphics ' if device == 'cuda' else ''}memory"
    if 1.25 * needed + 1e9 <= total:
        return "float32", f"float32: {size} fit in {where}"
    half = weights.parameters * BYTES_OF["bfloat16"] if spec.quantization == "none" else needed
    return (
        "bfloat16",
        f"bfloat16: {size} in float32 would be too tight in {where}; {half / GIGABYTE:.1f} GB this way",
    )
