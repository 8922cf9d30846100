"""What patching would change, to first order: the difference of two runs' activations times a gradient.

Attribution patching (Nanda 2023), with the correction for queries and keys of AtP* (Kramár et al. 2024,
arXiv 2403.00745).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from backend.engine.gradients import Gradients
from backend.engine.pattern import patterns, scores
from backend.engine.sweep import COMPONENTS
from backend.engine.trace import Trace


def changes(base: Trace, source: Trace, gradients: Gradients, *, qk_fix: bool) -> dict[str, Tensor]:
    """By component, how much the differentiated number would change if `source`'s activation were put into `base`.

    Args:
        base, source: runs of as many tokens; the gradients are those of the base run.
        qk_fix: whether for queries and keys the softmax is computed with the patched value, and only what follows
            from the pattern's change is taken to be linear: a saturated softmax has no gradient to speak of.

    Returns:
        One estimate a cell, with the component's axes: `[layer, position]` or `[layer, head, position]`.
    """
    names = [name for name in COMPONENTS if getattr(gradients, name) is not None and name != "pattern"]
    found = {name: _linear(base, source, gradients, name) for name in names}
    by_layer = range(len(base.resid_pre))
    found["pattern"] = torch.stack([_pattern(base, source, gradients, layer) for layer in by_layer])
    if qk_fix:
        found["q"] = torch.stack([_query(base, source, gradients, layer) for layer in by_layer])
        found["k"] = torch.stack([_key(base, source, gradients, layer) for layer in by_layer])
    return found


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
    return ((patched - own) * gradients.pattern[layer]).sum(-1)


def _key(base: Trace, source: Trace, gradients: Gradients, layer: int) -> Float[Tensor, "kv_head position"]:
    """A patched key changes one score of each later query of each head of its group.

    A score shifted by d turns its weight p into sigmoid(logit(p) + d), and the other keys share what is left in
    their old proportions: so no row has to be computed anew for each of its keys. The key with the most weight of a
    row is worked out from the row without it, because 1 - p would be nothing but rounding in a saturated row.
    """
    query, key = base.q_rotated[layer].double(), base.k_rotated[layer].double()
    own, gradient = scores(base, layer, query, key), gradients.pattern[layer].double()
    shift = scores(base, layer, query, source.k_rotated[layer].double()) - own
    weight, top = own.softmax(-1), own.argmax(-1, keepdim=True)
    rest = own.scatter(-1, top, float("-inf"))
    odds = own - own.logsumexp(-1, keepdim=True) - torch.log1p(-weight)
    odds.scatter_(-1, top, own.gather(-1, top) - rest.logsumexp(-1, keepdim=True))
    read = weight * gradient
    others = (read.sum(-1, keepdim=True) - read) / (1 - weight)
    # The first query's only key has no others, a later position no score: neither can change.
    others.scatter_(-1, top, (rest.softmax(-1).nan_to_num() * gradient).sum(-1, keepdim=True))
    patched = torch.sigmoid(odds + shift.nan_to_num())
    by_head = ((patched - weight) * (gradient - others)).sum(1)
    return by_head.view(len(key), -1, by_head.shape[-1]).sum(1).float()
