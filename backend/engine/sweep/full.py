"""The oracle: one plain forward pass of the whole model for each experiment, the patch put in by hooks.

It shares nothing with the cone, so that the one can be checked against the other.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from backend.engine.instrument import Instrument
from backend.engine.pattern import full_pattern
from backend.engine.sweep.cells import Cell, Node
from backend.engine.trace import Trace, _last_logits_only


@torch.no_grad()
def patched_logits(
    instrument: Instrument, base_ids: tuple[int, ...], source: Trace, nodes: Sequence[Node]
) -> Tensor:
    """Final logits over the vocabulary, `[vocabulary]` float32, of the base run with all of `nodes` patched."""
    model = instrument.model
    device = model.get_input_embeddings().weight.device
    with ExitStack() as stack:
        for component, cell in nodes:
            stack.enter_context(_patched(instrument, source, component, cell))
        ids = torch.tensor([base_ids], device=device)
        output = model(input_ids=ids, use_cache=False, **_last_logits_only(model))
    logits: Tensor = output.logits[0, -1]
    return logits.float().cpu()


@contextmanager
def _patched(instrument: Instrument, source: Trace, component: str, cell: Cell) -> Iterator[None]:
    with ExitStack() as stack:
        for hook in HOOKS[component](_Place(instrument, source, cell)):
            stack.callback(hook.remove)
        yield


class _Place:
    """The modules of a cell's layer, and how to replace a row of what they take or give."""

    def __init__(self, instrument: Instrument, source: Trace, cell: Cell) -> None:
        family = instrument.family
        self.source, self.cell = source, cell
        self.layer = family.layers(instrument.model)[cell.layer]
        self.attention = family.attention(self.layer)
        self.output = family.output(self.attention)
        self.mlp = family.mlp(self.layer)
        self.query, self.key = family.query(self.attention), family.key(self.attention)
        self.value = family.value(self.attention)
        self.d_head = instrument.shape.d_head

    def of_source(self, name: str) -> Tensor:
        """The source's value of the cell: a row, or a head's part of it."""
        value: Tensor = getattr(self.source, name)[self.cell.layer, self.cell.position]
        return value if self.cell.head is None else value[self.cell.head]

    def put(self, whole: Tensor, value: Tensor) -> Tensor:
        """A copy of `whole`, `[1, position, ...]`, with the cell's row, or its head's part, exchanged."""
        changed = whole.clone()
        row = changed[0, self.cell.position]
        part = row if self.cell.head is None else row.view(-1, self.d_head)[self.cell.head]
        part.copy_(value)
        return changed


def _input(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Any:
    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        if args:
            return (change(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])}

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def _result(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Any:
    return module.register_forward_hook(lambda _, args, output: change(output))


def _resid_pre(place: _Place) -> list[Any]:
    return [_input(place.layer, lambda whole: place.put(whole, place.of_source("resid_pre")))]


def _resid_mid(place: _Place) -> list[Any]:
    # The model adds attention's output to its input itself; what has to be written is the difference.
    before: list[Tensor] = []

    def note(whole: Tensor) -> Tensor:
        before.append(whole[0, place.cell.position])
        return whole

    def change(whole: Tensor) -> Tensor:
        wanted = place.of_source("resid_mid").to(before[-1])
        return place.put(whole, wanted - before[-1])

    return [_input(place.layer, note), _result(place.output, change)]


def _attn_out(place: _Place) -> list[Any]:
    return [_result(place.output, lambda whole: place.put(whole, place.of_source("attn_out")))]


def _mlp_out(place: _Place) -> list[Any]:
    return [_result(place.mlp, lambda whole: place.put(whole, place.of_source("mlp_out")))]


def _z(place: _Place) -> list[Any]:
    return [_input(place.output, lambda whole: place.put(whole, place.of_source("z")))]


def _q(place: _Place) -> list[Any]:
    return [_result(place.query, lambda whole: place.put(whole, place.of_source("q")))]


def _k(place: _Place) -> list[Any]:
    return [_result(place.key, lambda whole: place.put(whole, place.of_source("k")))]


def _v(place: _Place) -> list[Any]:
    return [_result(place.value, lambda whole: place.put(whole, place.of_source("v")))]


def _pattern(place: _Place) -> list[Any]:
    cell, values = place.cell, []
    assert cell.head is not None  # checked with the cells
    row = full_pattern(place.source, cell.layer, cell.head)[cell.position]
    kv_head = cell.head // (place.source.z.shape[2] // place.source.v.shape[2])

    def note(whole: Tensor) -> Tensor:
        values.append(whole[0].view(len(row), -1, place.d_head)[:, kv_head])
        return whole

    def change(whole: Tensor) -> Tensor:
        return place.put(whole, row.to(values[-1]) @ values[-1])

    return [_result(place.value, note), _input(place.output, change)]


HOOKS: dict[str, Callable[[_Place], list[Any]]] = {
    "resid_pre": _resid_pre,
    "resid_mid": _resid_mid,
    "attn_out": _attn_out,
    "mlp_out": _mlp_out,
    "z": _z,
    "q": _q,
    "k": _k,
    "v": _v,
    "pattern": _pattern,
}
