"""Load a model: the published Hugging Face model and its tokenizer, with the chosen dtype, quantization and device."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from backend.contract.model import ModelSpec
from backend.contract.progress import Progress, silent
from backend.models.disk import read_ahead
from backend.models.fetch import fetch
from backend.models.memory import return_freed
from backend.models.memory_check import WORKING_BYTES, check_memory, unevenly_free
from backend.models.pretrained import from_pretrained, unusable
from backend.models.quantization import bitsandbytes_config
from backend.models.resolve import Resolved, resolve
from backend.models.tokenizer import read_tokenizer
from backend.models.weights import weight_files

if TYPE_CHECKING:
    import transformers

# Constants that older versions of transformers saved with the weights. No model uses them any more.
LEFTOVERS = re.compile(r"attn\.masked_bias$|(^|\.)decoder\.version$")


@dataclass(frozen=True)
class RunnableModel:
    """A model ready to run: in eval mode, without gradients for parameters."""

    model: "transformers.PreTrainedModel"
    tokenizer: "transformers.PreTrainedTokenizerFast"
    resolved: Resolved


def load(spec: ModelSpec, progress: Progress = silent) -> RunnableModel:
    """Download the model if needed, and load it. Raises what `prepare` raises."""
    return prepare(spec, progress)()


def prepare(spec: ModelSpec, progress: Progress = silent, returned: int = 0) -> Callable[[], RunnableModel]:
    """Download the model if needed, and make every check that is possible without loading weights. Returns a function
    that loads the model.

    So the previous model is unloaded only after these checks: if one fails, it stays loaded. `returned` is the bytes
    that are freed before loading. Raises ModelError (damaged, not supported),
    DownloadError, ResourceError (too little memory), and what `progress` raises.
    """
    resolved = resolve(spec, progress)
    if resolved.folder is None:
        resolved = fetch(spec, progress)
    assert resolved.folder is not None  # fetch made it
    check_memory(resolved, returned)
    quantized = _quantized(resolved)
    read_ahead(weight_files(resolved.folder), progress, f"Loading {resolved.name}")
    from backend.models.families import (
        family_of,
    )  # takes seconds to import, and the checks above do not need it
    from backend.models.shape import known_shape

    known_shape(resolved)  # first: an error in the config is then reported as such
    tokenizer = read_tokenizer(resolved)
    family_of(_meta_model(resolved))
    return partial(_load, resolved, tokenizer, quantized)


def release(loaded: RunnableModel) -> None:
    """Free the model's memory. The model cannot run afterwards."""
    for name, _ in list(loaded.model.named_children()):
        delattr(loaded.model, name)
    return_freed(loaded.resolved.device)


def _load(
    resolved: Resolved,
    tokenizer: "transformers.PreTrainedTokenizerFast",
    quantized: Mapping[str, Any],
) -> RunnableModel:
    check_memory(resolved)  # again: the previous model has been unloaded by now
    model = _read_model(resolved, **_placement(resolved), **quantized)
    model.eval().requires_grad_(False)
    for module in model.modules():
        # On some processors bitsandbytes would repack 4-bit weights at the first forward pass, if the width is a
        # multiple of 64. The repacked weights have coarser scales, and their layout cannot be dequantized again.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return_freed(resolved.device)
    return RunnableModel(model, tokenizer, resolved)


def _read_model(resolved: Resolved, **placement: Any) -> "transformers.PreTrainedModel":
    import torch
    from transformers import AutoModelForCausalLM

    model, report = from_pretrained(
        resolved,
        "the model of its config and weights",
        AutoModelForCausalLM,
        dtype=getattr(torch, resolved.dtype),
        use_safetensors=True,
        ignore_mismatched_sizes=True,  # reported by `_check_fit`, which names them
        output_loading_info=True,
        **placement,
    )
    _check_fit(resolved, report)
    found: transformers.PreTrainedModel = model
    return found


def _meta_model(resolved: Resolved) -> "transformers.PreTrainedModel":
    """The model on the meta device (no weights).

    Callers drop it before the weights are loaded: freed later, it would leave gaps in the heap.
    """
    return _read_model(resolved, device_map="meta")


def _check_fit(resolved: Resolved, report: Mapping[str, Any]) -> None:
    """Refuse weights that do not match the config: transformers would use random weights, or ignore some."""
    if mismatched := sorted(report["mismatched_keys"]):
        name, found, wanted = mismatched[0]
        raise unusable(
            resolved,
            f"{len(mismatched)} weights have other sizes than the config says, the first {name}: "
            f"{list(found)} in the file, {list(wanted)} by the config",
        )
    for keys, what in (
        ("missing_keys", "are missing"),
        ("unexpected_keys", "are not used by the model of its config"),
    ):
        if names := sorted(name for name in report[keys] if not LEFTOVERS.search(name)):
            raise unusable(resolved, f"{len(names)} weights {what}, the first {names[0]}")


def _quantized(resolved: Resolved) -> dict[str, Any]:
    """Keyword arguments that quantize the weights while they are loaded. Raises ModelError without bitsandbytes."""
    if resolved.quantization == "none":
        return {}
    import torch

    return {"quantization_config": bitsandbytes_config(resolved.quantization, getattr(torch, resolved.dtype))}


def _placement(resolved: Resolved) -> dict[str, Any]:
    """Keyword arguments that load the weights onto their device. Raises ResourceError if they do not fit."""
    # Without a device map, float32 weights on the processor stay views of the memory-mapped files and are not copied.
    if resolved.device == "cpu" and resolved.quantization == "none":
        return {}
    from backend.models.placement import placed

    needed = resolved.weight_bytes + WORKING_BYTES
    found = placed(
        partial(_meta_model, resolved),
        resolved.device,
        needed,
        WORKING_BYTES,
        resolved.quantization != "none",
    )
    if found is None:
        raise unevenly_free(resolved)
    return found
