"""Some layers of a model as a small model in float32, where what is computed can be told from what is rounded.

It is the loaded model itself, copied without most layers and most tokens: the same modules, so the same structure.
Weights in 8 or 4 bits are dequantized. Its answers mean nothing; only how its parts belong together does.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from backend.contract.errors import ResourceError
from backend.engine.weights import dense
from backend.models.families import Family
from backend.models.load import RunnableModel
from backend.models.memory import available_memory
from backend.models.placement import weights_there

ROWS = 64
"""How many tokens it has, besides those of its prompt."""
QUANTIZED = ("Int8Params", "Params4bit")
SHARE = 4
"""Layers are copied together as far as they take a quarter of the free memory."""


def telling_layers(model: PreTrainedModel, family: Family) -> list[int]:
    """The first, the middle and the last layer, and the first of every kind."""
    layers = family.layers(model)
    kinds = getattr(model.config, "layer_types", None) or [""] * len(layers)
    first: dict[tuple[str, str], int] = {}
    for index, (kind, layer) in enumerate(zip(kinds, layers, strict=True)):
        first.setdefault((kind, str(layer)), index)
    return sorted({0, len(layers) // 2, len(layers) - 1, *first.values()})


def groups_that_fit(model: PreTrainedModel, family: Family, chosen: Sequence[int]) -> list[list[int]]:
    """The chosen layers in groups that there is memory for. Raises ResourceError where one alone is too large."""
    layers, free = family.layers(model), available_memory("cpu")
    groups: list[list[int]] = []
    room = 0
    for index in chosen:
        needed = sum(4 * _new_values(module) for module in layers[index].modules())
        if needed > free:
            raise ResourceError(
                f"Checking a layer in float32 needs {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free. "
                "Close other programs, or choose a smaller model."
            )
        if not groups or needed > room:
            groups.append([])
            room = free // SHARE
        groups[-1].append(index)
        room -= needed
    return groups


def float32_layers(
    loaded: RunnableModel, family: Family, chosen: Sequence[int], token_ids: Sequence[int]
) -> tuple[RunnableModel, tuple[int, ...]]:
    """The small model, on the processor, and the prompt in its own token ids."""
    model = loaded.model
    vocabulary = model.get_input_embeddings().weight.shape[0]
    rows = list(dict.fromkeys([*token_ids, *range(min(ROWS, vocabulary))]))
    copied: dict[int, Any] = {}  # what stands for an object in the copy, by the object's id
    for config in {id(found): found for found in map(_config, model.modules()) if found is not None}.values():
        copied[id(config)] = _small_config(config, len(family.layers(model)), chosen, len(rows))
    tables = (model.get_input_embeddings(), family.unembedding(model))
    for module in _kept(model, family, chosen):
        _copy_weights(module, copied, rows if module in tables else [], vocabulary)
    container = model.get_submodule(family.layers_at)
    copied[id(container)] = nn.ModuleList(
        copy.deepcopy(family.layers(model)[index], copied) for index in chosen
    )
    small: PreTrainedModel = copy.deepcopy(model, copied)
    for module in small.modules():
        if vars(module).pop("_hf_hook", "none") is None:
            for name in ("_old_forward", "forward"):
                vars(module).pop(name, None)
    small.get_input_embeddings().padding_idx = None
    resolved = replace(loaded.resolved, dtype="float32", quantization="none", device="cpu")
    return RunnableModel(small, loaded.tokenizer, resolved), tuple(map(rows.index, token_ids))


def _kept(model: PreTrainedModel, family: Family, chosen: Sequence[int]) -> Iterator[nn.Module]:
    """Every module but those of the layers that are left out."""
    layers = family.layers(model)
    left_out = {
        id(module) for index, layer in enumerate(layers) if index not in chosen for module in layer.modules()
    }
    return (module for module in model.modules() if id(module) not in left_out)


def _copy_weights(module: nn.Module, copied: dict[int, Any], rows: list[int], vocabulary: int) -> None:
    """Note what stands for a module's own weights; of a table of tokens these rows."""
    if _is_quantized(module):
        copied[id(module)] = _linear(module)
        return
    with weights_there(module):
        own = chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False))
        values = {
            name: _float32(value[rows] if rows and value.shape[:1] == (vocabulary,) else value)
            for name, value in own
        }
    for name, value in values.items():  # by now the placeholders of what is offloaded are back
        there = getattr(module, name)
        copied[id(there)] = nn.Parameter(value, False) if isinstance(there, nn.Parameter) else value
    if (hook := getattr(module, "_hf_hook", None)) is not None:
        copied[id(hook)] = None


def _linear(module: Any) -> nn.Linear:
    """A quantized linear layer as torch's own."""
    with torch.device("meta"):
        linear = nn.Linear(module.in_features, module.out_features, module.bias is not None)
    linear.weight = nn.Parameter(_float32(dense(module)), False)
    if module.bias is not None:
        linear.bias = nn.Parameter(_float32(module.bias), False)
    return linear


def _float32(value: Tensor) -> Tensor:
    value = value.detach().to("cpu")
    return value.float() if value.is_floating_point() else value


def _config(module: nn.Module) -> Any:
    return getattr(module, "config", None)


def _small_config(config: Any, layers: int, chosen: Sequence[int], vocabulary: int) -> Any:
    """A config with fewer layers and tokens; a list of one value a layer keeps those of the chosen."""
    small = copy.deepcopy(config)
    if getattr(config, "num_hidden_layers", None) != layers:
        return small
    for name, value in vars(small).items():
        if isinstance(value, list) and len(value) == layers:
            vars(small)[name] = [value[index] for index in chosen]
    small.num_hidden_layers, small.vocab_size = len(chosen), vocabulary
    return small


def _is_quantized(module: nn.Module) -> bool:
    return type(getattr(module, "weight", None)).__name__ in QUANTIZED


def _new_values(module: Any) -> int:
    """How many weights of its own take new memory in a copy: those in float32 on the processor are shared with it."""
    if _is_quantized(module):
        return int(module.in_features * module.out_features)
    own = module.parameters(recurse=False)
    return sum(each.numel() for each in own if each.dtype != torch.float32 or each.device.type != "cpu")
