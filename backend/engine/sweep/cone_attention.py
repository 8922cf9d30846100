"""Attention for the rows of many experiments.

Each experiment's queries attend to the base run's keys at the positions before its cone, then to its own keys.

Example: 4 tokens, an experiment that begins at position 2. Its two queries, of positions 2 and 3, attend to 4 keys:
0 and 1 are the base run's, 2 and 3 its own; the mask hides key 3 from query 2.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.engine.attention_call import AttentionCall, usual_function
from backend.engine.attention_hook import Replacement
from backend.engine.sweep.patches import Patch
from backend.engine.sweep.rows import Block
from backend.engine.trace import Trace


class _OneHeadEach(nn.Module):
    """Passed in place of the attention module: here every kv head has one head of queries (see `_grouped`)."""

    num_key_value_groups = 1
    is_causal = False


_ONE_HEAD_EACH = _OneHeadEach()


def cone_attention(
    bases: Sequence[Trace], layer: int, blocks: Sequence[Block], pattern: Patch | None, last_only: bool
) -> Replacement:
    """The function that answers the attention call of a layer whose batch consists of `blocks`.

    Args:
        bases: the base runs, as `Block.run` counts them.
        pattern: rows of the attention pattern that replace the ones computed here.
        last_only: whether only the last row of each experiment is computed; the output of the others is 0.
    """

    def attend(call: AttentionCall) -> Tensor:
        output = call.zeros()
        cap = bases[0].softcaps[layer]
        settings = {"scaling": call.scaling} if cap is None else {"scaling": call.scaling, "softcap": cap}
        usual = partial(usual_function(call.module), _ONE_HEAD_EACH, **settings)
        before = {
            run: (
                bases[run].k_rotated[layer].to(call.key),
                bases[run].v[layer].transpose(0, 1).to(call.value),
            )
            for run in {block.run for block in blocks}
        }
        first = 0
        for block in blocks:
            base, (base_key, base_value) = bases[block.run], before[block.run]
            mine = slice(first, first + block.rows)
            queries, own_keys, own_values = (
                _by_experiment(flat[0, :, mine], block) for flat in (call.query, call.key, call.value)
            )
            keys, values = _after_base(base_key, own_keys, block), _after_base(base_value, own_values, block)
            if last_only:
                queries = queries[:, :, -1:]
            rows = queries.shape[2]
            written = _grouped(usual, queries, keys, values, _mask(base, layer, block, rows).to(queries))
            if pattern is not None:
                _patch_pattern(pattern, written, values, block, first)
            output[0, mine].view(block.count, block.width, *output.shape[2:])[:, -rows:] = written
            first += block.rows
        return output

    return attend


def _by_experiment(
    flat: Float[Tensor, "head row d_head"], block: Block
) -> Float[Tensor, "experiment head width d_head"]:
    return flat.view(-1, block.count, block.width, flat.shape[-1]).transpose(0, 1)


def _after_base(
    base: Float[Tensor, "kv_head position d_head"],
    own: Float[Tensor, "experiment kv_head width d_head"],
    block: Block,
) -> Float[Tensor, "experiment kv_head key d_head"]:
    before = base[:, : block.start].expand(block.count, -1, -1, -1)
    return torch.cat([before, own], dim=2)


def _mask(base: Trace, layer: int, block: Block, rows: int) -> Float[Tensor, "query key"]:
    """The base run's mask, which is added to the scores, for the last `rows` rows of an experiment."""
    end = block.start + block.width
    mask = base.masks[layer]
    if mask is not None:
        return mask[end - rows : end, :end]
    return torch.full((rows, end), float("-inf")).triu(end - rows + 1)


def _grouped(
    usual: Callable[..., tuple[Tensor, Tensor | None]],
    queries: Float[Tensor, "experiment head width d_head"],
    keys: Float[Tensor, "experiment kv_head key d_head"],
    values: Float[Tensor, "experiment kv_head key d_head"],
    mask: Float[Tensor, "width key"],
) -> Float[Tensor, "experiment width head d_head"]:
    """The model's own attention function.

    Heads that share a kv head are passed as further rows of one head, so that its keys and values are not copied.
    """
    count, heads, width, d_head = queries.shape
    group = heads // keys.shape[1]
    packed = queries.reshape(count, -1, group * width, d_head)
    mask = mask.repeat(group, 1)[None, None]
    output, _ = usual(packed, keys, values, mask)
    by_head = output.transpose(1, 2).reshape(count, heads, width, -1)
    return by_head.transpose(1, 2)


def _patch_pattern(
    pattern: Patch,
    written: Float[Tensor, "experiment width head d_head"],
    values: Float[Tensor, "experiment kv_head key d_head"],
    block: Block,
    first: int,
) -> None:
    """Overwrite the outputs of patched heads with the source's pattern times this run's values.

    `first` is the block's first row in the batch.
    """
    assert pattern.heads is not None  # the pattern has heads
    experiment = torch.div(pattern.rows - first, block.width, rounding_mode="floor")
    row = (pattern.rows - first) % block.width - (block.width - written.shape[1])
    inside = (experiment >= 0) & (experiment < block.count) & (row >= 0)
    experiment, row, head = experiment[inside], row[inside], pattern.heads[inside]
    head_values = values[experiment, head // (written.shape[2] // values.shape[1])]
    weights = pattern.values[inside, : values.shape[2]].to(head_values)
    written[experiment, row, head] = (weights[:, None] @ head_values)[:, 0]
