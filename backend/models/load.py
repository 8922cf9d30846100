"""A model in memory: the Hugging Face model as published, its tokenizer, and how it is held."""

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

# Constants that older versions of transformers saved among the weights, and that no model reads any more.
LEFTOVERS = re.compile(r"attn\.masked_bias$|(^|\.)decoder\.version$")


@dataclass(frozen=True)
class RunnableModel:
    """A model ready to run: in eval mode, no parameter with a gradient."""

    model: "transformers.PreTrainedModel"
    tokenizer: "transformers.PreTrainedTokenizerFast"
    resolved: Resolved


def load(spec: ModelSpec, progress: Progress = silent) -> RunnableModel:
    """Fetch the model where it is not here yet, and load it. Raises what `prepare` raises."""
    return prepare(spec, progress)()


def prepare(spec: ModelSpec, progress: Progress = silent, returned: int = 0) -> Callable[[], RunnableModel]:
    """Fetch the model where it is not here yet, and refuse it unless it can be loaded, as far as that can be told
    without the memory for its weights. What is given back loads it.

    `returned` are bytes that will come free before it is loaded. Raises ModelError (damaged, not supported),
    DownloadError, ResourceError (too little memory), and what `progress` raises.
    """
    resolved = resolve(spec, progress)
    if resolved.folder is None:
        resolved = fetch(spec, progress)
    assert resolved.folder is not None  # fetch made it
    check_memory(resolved, returned)
    quantized = _quantized(resolved)
    read_ahead(weight_files(resolved.folder), progress, f"Loading {resolved.name}")
    from backend.models.families import family_of  # seconds to import, and the refusals above need none of it
    from backend.models.shape import known_shape

    known_shape(resolved)  # first, so that nothing else is blamed for what is wrong with the config
    tokenizer = read_tokenizer(resolved)
    family_of(_skeleton(resolved))
    return partial(_load, resolved, tokenizer, quantized)


def release(loaded: RunnableModel) -> None:
    """Give the model's memory back: it is taken apart and cannot run again."""
    for name, _ in list(loaded.model.named_children()):
        delattr(loaded.model, name)
    return_freed(loaded.resolved.device)


def _load(
    resolved: Resolved,
    tokenizer: "transformers.PreTrainedTokenizerFast",
    quantized: Mapping[str, Any],
) -> RunnableModel:
    check_memory(resolved)  # by now all is free that was to be
    model = _read_model(resolved, **_placement(resolved), **quantized)
    model.eval().requires_grad_(False)
    for module in model.modules():
        # On some processors bitsandbytes would repack 4-bit weights at the first forward pass: with coarser scales,
        # into a layout that nothing can read back, and only where the width is a multiple of 64.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return_freed(resolved.device)
    return RunnableModel(model, tokenizer, resolved)


def _read_model(resolved: Resolved, **placement: Any) -> "transformers.PreTrainedModel":
    import torch
    from transformers import AutoModelForCausalLM

    model, report = from_pretrained(
        resolved,
        "its weights",
        AutoModelForCausalLM,
        dtype=getattr(torch, resolved.dtype),
        use_safetensors=True,
        ignore_mismatched_sizes=True,  # told in `_check_fit`, which names them
        output_loading_info=True,
        **placement,
    )
    _check_fit(resolved, report)
    found: transformers.PreTrainedModel = model
    return found


def _skeleton(resolved: Resolved) -> "transformers.PreTrainedModel":
    """The model on the meta device (no weights).

    It is not kept while the model is read: memory that is freed after that would leave gaps.
    """
    return _read_model(resolved, device_map="meta")


def _check_fit(resolved: Resolved, report: Mapping[str, Any]) -> None:
    """Refuse weights that are not those of the config: transformers would go on with random ones, or without some."""
    if mismatched := sorted(report["mismatched_keys"]):
        name, found, wanted = mismatched[0]
        raise unusable(
            resolved,
            f"{len(mismatched)} weights have other sizes than the config says, the first {name}: "
            f"{list(found)} in the file, {list(wanted)} by the config",
        )
    for keys, what in (
        ("missing_keys", "are missing"),
        ("unexpected_keys", "have no place in the model of its config"),
    ):
        if names := sorted(name for name in report[keys] if not LEFTOVERS.search(name)):
            raise unusable(resolved, f"{len(names)} weights {what}, the first {names[0]}")


def _quantized(resolved: Resolved) -> dict[str, Any]:
    """Keyword arguments that quantize the weights on the way. Raises ModelError without bitsandbytes."""
    if resolved.quantization == "none":
        return {}
    import torch

    return {"quantization_config": bitsandbytes_config(resolved.quantization, getattr(torch, resolved.dtype))}


def _placement(resolved: Resolved) -> dict[str, Any]:
    """Keyword arguments that put the weights on their device. Raises ResourceError where its places are too small."""
    # Without a device map the weights on the processor stay views of the mapped files: no copy in float32.
    if resolved.device == "cpu" and resolved.quantization == "none":
        return {}
    from backend.models.placement import placed

    needed = resolved.weight_bytes + WORKING_BYTES
    found = placed(
        partial(_skeleton, resolved), resolved.device, needed, WORKING_BYTES, resolved.quantization != "none"
    )
    if found is None:
        raise unevenly_free(resolved)
    return found
