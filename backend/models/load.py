"""A model in memory: the Hugging Face model as published, its tokenizer, and how it is held."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.errors import ModelError, ResourceError, shown
from backend.models.catalogue import SMALL_MODEL, catalogue
from backend.models.config import path_shown
from backend.models.disk import read_ahead
from backend.models.fetch import fetch
from backend.models.memory import available_memory, is_out_of_memory, return_freed
from backend.models.quantization import bitsandbytes_config
from backend.models.resolve import GIGABYTE, Resolved, resolve
from backend.models.weights import read_weights, weight_files
from backend.progress import Progress, silent
from backend.results.request import ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

# Python, torch and the activations of one forward pass.
WORKING_BYTES = 600_000_000


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run: in eval mode, no parameter with a gradient."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerFast"
    resolved: Resolved


def load(spec: ModelSpec, progress: Progress = silent) -> LoadedModel:
    """Fetch the model where it is not here yet, and load it.

    Raises ModelError (damaged, not supported), DownloadError, ResourceError (too little memory), and what
    `progress` raises.
    """
    resolved = resolve(spec)
    if resolved.folder is None:
        resolved = fetch(spec, progress)
    assert resolved.folder is not None  # fetch made it
    check_memory(resolved)
    read_ahead(weight_files(resolved.folder), progress, f"Loading {resolved.name}")
    import torch  # seconds to import, and not needed to say that there is no such model
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from backend.models.quiet import quiet

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                resolved.folder, local_files_only=True, trust_remote_code=False
            )
            model, report = AutoModelForCausalLM.from_pretrained(
                resolved.folder,
                dtype=getattr(torch, resolved.dtype),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                **_placement(resolved),
            )
    except MemoryError as error:
        raise _too_large(resolved, available_memory(resolved.device)) from error
    # What transformers raises where config, tokenizer and weights do not fit, or need more packages.
    except (
        ValueError,
        OSError,
        KeyError,
        AttributeError,
        ImportError,
        RuntimeError,
        SafetensorError,
    ) as error:
        if is_out_of_memory(error):
            raise _too_large(resolved, available_memory(resolved.device)) from error
        raise _unusable(resolved, str(error)) from error
    if missing := sorted(report["missing_keys"]):  # transformers would go on with random numbers there
        raise _unusable(resolved, f"{len(missing)} weights are missing, the first {missing[0]}")
    if not tokenizer.is_fast:
        raise ModelError(
            f"{shown(resolved.name)} has no tokenizer.json, which is needed to place tokens in the text."
        )
    model.eval().requires_grad_(False)
    for module in model.modules():
        # On some processors bitsandbytes would repack 4-bit weights at the first forward pass: with coarser scales,
        # into a layout that nothing can read back, and only where the width is a multiple of 64.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return_freed(resolved.device)
    return LoadedModel(model, tokenizer, resolved)


def release(loaded: LoadedModel) -> None:
    """Give the model's memory back: it is taken apart and cannot run again."""
    for name, _ in list(loaded.model.named_children()):
        delattr(loaded.model, name)
    return_freed(loaded.resolved.device)


def check_memory(resolved: Resolved) -> None:
    """Raise ResourceError where the weights do not fit in the memory that is free now."""
    available = available_memory(resolved.device)
    if resolved.weight_bytes + WORKING_BYTES > available:
        raise _too_large(resolved, available)


def _unusable(resolved: Resolved, reason: str) -> ModelError:
    return ModelError(
        f"{shown(resolved.name)} cannot be loaded from {path_shown(resolved.folder)}: {shown(reason, 300)}. "
        "Fetch the model again, or choose another."
    )


def _too_large(resolved: Resolved, available: int) -> ResourceError:
    needed = resolved.weight_bytes + WORKING_BYTES
    fits = [f"{how} ({size / GIGABYTE:.1f} GB)" for how, size in _smaller(resolved) if size <= available]
    advice = f"try {', '.join(fits)}" if fits else "add memory: nothing smaller would fit either"
    return ResourceError(
        f"{shown(resolved.name)} as {resolved.dtype} needs "
        f"{needed / GIGABYTE:.1f} GB of memory, and {available / GIGABYTE:.1f} GB are free on {resolved.device}. "
        f"Close other programs, or {advice}."
    )


def _smaller(resolved: Resolved) -> list[tuple[str, int]]:
    """What takes less, in words, and the bytes that it needs."""
    if resolved.folder is None:
        return []
    weights = read_weights(resolved.folder)
    ways = [("dtype bfloat16", "bfloat16", "none")] if resolved.quantization == "none" else []
    if resolved.device != "mps":  # bitsandbytes has nothing for it
        ways += [(f"quantization {bits}", resolved.dtype, bits) for bits in ("8bit", "4bit")]
    found = [(how, weights.bytes_as(dtype, quantization)) for how, dtype, quantization in ways]
    small = 2 * catalogue()[SMALL_MODEL].parameters
    found.append(("the small model (--small) as bfloat16", small))
    return [(how, size + WORKING_BYTES) for how, size in found if size < resolved.weight_bytes]


def _placement(resolved: Resolved) -> dict[str, Any]:
    """Keyword arguments that put the weights on their device and quantize them on the way."""
    # Without a device map the weights on the processor stay views of the mapped files: no copy in float32.
    placement: dict[str, Any] = {} if resolved.device == "cpu" else {"device_map": {"": resolved.device}}
    if resolved.quantization == "none":
        return placement
    import torch

    return {
        "device_map": {"": resolved.device},
        "quantization_config": bitsandbytes_config(resolved.quantization, getattr(torch, resolved.dtype)),
    }
