"""What patching would change, to first order: the difference of two runs' activations times a gradient.

Attribution patching (Nanda 2023), with the correction for queries and keys of AtP* (Kramár et al. 2024,
arXiv 2403.00745).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from backend.contract.components import COMPONENTS
from backend.contract.progress import Progress, silent
from backend.engine.gradients import Gradients
from backend.engine.pattern import kv_head_of, patterns, scores, values_for_heads
from backend.engine.trace import Trace


def changes(
    base: Trace, source: Trace, gradients: Gradients, *, qk_fix: bool, progress: Progress = silent
) -> dict[str, Tensor]:
    """By component, how much the differentiated number would change if `source`'s activation were put into `base`.

    Args:
        base, source: runs of as many tokens; the gradients are those of the base run.
        qk_fix: whether for queries and keys the softmax is computed with the patched value, and only what follows
            from the pattern's change is taken to be linear: a saturated softmax has no gradient to speak of.

    Returns:
        One estimate a cell, with the component's axes: `[layer, position]` or `[layer, head, position]`.

    Raises Cancelled when `progress` does, which is asked before each layer.
    """
    names = [name for name in COMPONENTS if name != "pattern" and getattr(gradients, name) is not None]
    found = {name: _linear(base, source, gradients, name) for name in names}
    softmaxes = {"pattern": _pattern, **({"q": _query, "k": _key} if qk_fix else {})}
    by_layer: dict[str, list[Tensor]] = {name: [] for name in softmaxes}
    layers = len(base.resid_pre)
    for layer in range(layers):
        progress("Estimating what patches would change", layer, layers)
        for name, estimate in softmaxes.items():
            by_layer[name].append(estimate(base, source, gradients, layer))
    return found | {name: torch.stack(values) for name, values in by_layer.items()}


def _linear(
    base: Trace, source: Trace, gradients: Gradients, name: str
) -> Float[Tensor, "layer *head position"]:
    difference: Tensor = getattr(source, name) - getattr(base, name)
    gradient: Tensor = getattr(gradients, name)
    return (difference * gradient).sum(-1).movedim(1, -1)


def _pattern(base: Trace, source: Trace, gradients: Gradients, layer: int) -> Float[Tensor, "head position"]:
    theirs = patterns(source, layer, source.q_rotated[layer], source.k_rotated[layer])
    return _looking(base, gradients, layer, theirs)


def _query(base: Trace, source: Trace, gradients: Gradients, layer: int) -> Float[Tensor, "head position"]:
    patched = patterns(base, layer, source.q_rotated[layer], base.k_rotated[layer])
    return _looking(base, gradients, layer, patched)


def _looking(
    base: Trace, gradients: Gradients, layer: int, patched: Float[Tensor, "head query key"]
) -> Float[Tensor, "head query"]:
    """What each query's looking as in `patched` would change."""
    own = patterns(base, layer, base.q_rotated[layer], base.k_rotated[layer])
    return ((patched - own) * by_pattern(base, gradients, layer)).sum(-1)


def by_pattern(base: Trace, gradients: Gradients, layer: int) -> Float[Tensor, "head query key"]:
    """The derivative by the weight that a query gives a key, all else held fixed: that of `z` along the key's value."""
    return gradients.z[layer].transpose(0, 1) @ values_for_heads(base, layer).mT


def _key(base: Trace, source: Trace, gradients: Gradients, layer: int) -> Float[Tensor, "kv_head position"]:
    """A head at a time: some twenty matrices of one stay in the processor's cache."""
    query, gradient = base.q_rotated[layer].double(), by_pattern(base, gradients, layer).double()
    keys, others = base.k_rotated[layer].double(), source.k_rotated[layer].double()
    total = torch.zeros(keys.shape[:2])
    for head in range(len(query)):
        own = kv_head_of(base, head)
        before, after = (scores(base, layer, query[[head]], each[[own]])[0] for each in (keys, others))
        total[own] += _moved_keys(before, after - before, gradient[head])
    return total


def _moved_keys(
    own: Float[Tensor, "query key"], shift: Float[Tensor, "query key"], gradient: Float[Tensor, "query key"]
) -> Float[Tensor, " key"]:
    """What each key would change that is alone in shifting its scores.

    A score shifted by d turns its weight p into sigmoid(logit(p) + d), and the other keys share what is left in
    their old proportions: so no row has to be computed anew for each of its keys. The key with the most weight of a
    row is worked out from the row without it, because 1 - p would be nothing but rounding in a saturated row.
    """
    weight, top = own.softmax(-1), own.argmax(-1, keepdim=True)
    rest = own.scatter(-1, top, float("-inf"))
    odds = own - own.logsumexp(-1, keepdim=True) - torch.log1p(-weight)
    odds.scatter_(-1, top, own.gather(-1, top) - rest.logsumexp(-1, keepdim=True))
    read = weight * gradient
    others = (read.sum(-1, keepdim=True) - read) / (1 - weight)
    # The first query's only key has no others, a later position no score: neither can change.
    others.scatter_(-1, top, (rest.softmax(-1).nan_to_num() * gradient).sum(-1, keepdim=True))
    patched = torch.sigmoid(odds + shift.nan_to_num())
    return ((patched - weight) * (gradient - others)).sum(0)
