"""The attention of many cells' rows: each cell's queries meet the base run's keys before its cone, then its own."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from backend.engine.attention_hook import Replacement, usual_function
from backend.engine.sweep.patches import Patch
from backend.engine.sweep.rows import Block
from backend.engine.trace import Trace


class _OneHeadEach(nn.Module):
    """Stands for the attention module where every head of the keys has queries of its own."""

    num_key_value_groups = 1
    is_causal = False


_ONE_HEAD_EACH = _OneHeadEach()


def cone_attention(
    base: Trace, layer: int, blocks: Sequence[Block], pattern: Patch | None, last_only: bool
) -> Replacement:
    """What answers the attention call of a layer whose batch consists of `blocks`.

    `pattern` rows are put in the place of what the queries would attend to. With `last_only` the rows that are no
    cell's last are left 0.
    """

    def attend(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
        output = query.new_zeros(1, query.shape[2], query.shape[1], value.shape[-1])
        cap = base.softcaps[layer]
        settings = {"scaling": scaling} if cap is None else {"scaling": scaling, "softcap": cap}
        usual = partial(usual_function(module), _ONE_HEAD_EACH, **settings)
        base_key = base.k_rotated[layer].to(key)
        base_value = base.v[layer].transpose(0, 1).to(value)
        first = 0
        for block in blocks:
            mine = slice(first, first + block.rows)
            queries, own_keys, own_values = (
                _by_cell(flat[0, :, mine], block) for flat in (query, key, value)
            )
            keys, values = _after_base(base_key, own_keys, block), _after_base(base_value, own_values, block)
            if last_only:
                queries = queries[:, :, -1:]
            rows = queries.shape[2]
            written = _grouped(usual, queries, keys, values, _mask(base, layer, block, rows).to(queries))
            if pattern is not None:
                _patch_pattern(pattern, written, values, block, first)
            output[0, mine].view(block.cells, block.width, *output.shape[2:])[:, -rows:] = written
            first += block.rows
        return output

    return attend


def _by_cell(flat: Float[Tensor, "head row d_head"], block: Block) -> Float[Tensor, "cell head width d_head"]:
    return flat.view(-1, block.cells, block.width, flat.shape[-1]).transpose(0, 1)


def _after_base(
    base: Float[Tensor, "kv_head position d_head"],
    own: Float[Tensor, "cell kv_head width d_head"],
    block: Block,
) -> Float[Tensor, "cell kv_head key d_head"]:
    before = base[:, : block.start].expand(block.cells, -1, -1, -1)
    return torch.cat([before, own], dim=2)


def _mask(base: Trace, layer: int, block: Block, rows: int) -> Float[Tensor, "query key"]:
    """What the base run adds to the scores of the last `rows` rows of a cell."""
    end = block.start + block.width
    mask = base.masks[layer]
    if mask is not None:
        return mask[end - rows : end, :end]
    return torch.full((rows, end), float("-inf")).triu(end - rows + 1)


def _grouped(
    usual: Callable[..., tuple[Tensor, Tensor | None]],
    queries: Float[Tensor, "cell head width d_head"],
    keys: Float[Tensor, "cell kv_head key d_head"],
    values: Float[Tensor, "cell kv_head key d_head"],
    mask: Float[Tensor, "width key"],
) -> Float[Tensor, "cell width head d_head"]:
    """The usual attention; heads that share a kv head are further rows of it, so that its keys are not copied."""
    cells, heads, width, d_head = queries.shape
    group = heads // keys.shape[1]
    packed = queries.reshape(cells, -1, group * width, d_head)
    mask = mask.repeat(group, 1)[None, None]
    output, _ = usual(packed, keys, values, mask)
    by_head = output.transpose(1, 2).reshape(cells, heads, width, -1)
    return by_head.transpose(1, 2)


def _patch_pattern(
    pattern: Patch,
    written: Float[Tensor, "cell width head d_head"],
    values: Float[Tensor, "cell kv_head key d_head"],
    block: Block,
    first: int,
) -> None:
    """Let the patched heads read where the source's did; `first` is the block's first row in the batch."""
    assert pattern.heads is not None  # the pattern has heads
    cell = torch.div(pattern.rows - first, block.width, rounding_mode="floor")
    row = (pattern.rows - first) % block.width - (block.width - written.shape[1])
    inside = (cell >= 0) & (cell < block.cells) & (row >= 0)
    cell, row, head = cell[inside], row[inside], pattern.heads[inside]
    read = values[cell, head // (written.shape[2] // values.shape[1])]
    looked = pattern.values[inside, : values.shape[2]].to(read)
    written[cell, row, head] = (looked[:, None] @ read)[:, 0]
