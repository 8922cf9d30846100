"""What patching would change, to first order: the difference of two runs' activations times a gradient.

Example: a number of a head's `z` is 1.0 in the base run and 1.5 in the source run, and the metric's derivative by it is
-2. The estimate for patching it is (1.5 - 1.0) * -2 = -1.0; the cell's estimate is the sum over its numbers.

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
    """By component, how much the differentiated number would change if `source`'s activation replaced `base`'s.

    Args:
        base, source: runs of the same number of tokens.
        gradients: those of the base run.
        qk_fix: whether for queries and keys the softmax is computed exactly, with the patched value, and only the
            effect of the pattern's change is taken to be linear. A saturated softmax has a gradient of almost 0.

    Returns:
        One estimate for each cell, with the component's axes: `[layer, position]` or `[layer, head, position]`.

    Raises Cancelled when `progress` does, which is called before each layer.
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
    return _with_pattern(base, gradients, layer, theirs)


def _query(base: Trace, source: Trace, gradients: Gradients, layer: int) -> Float[Tensor, "head position"]:
    patched = patterns(base, layer, source.q_rotated[layer], base.k_rotated[layer])
    return _with_pattern(base, gradients, layer, patched)


def _with_pattern(
    base: Trace, gradients: Gradients, layer: int, patched: Float[Tensor, "head query key"]
) -> Float[Tensor, "head query"]:
    """What it would change if a query's row of the pattern were that of `patched`, for each query."""
    own = patterns(base, layer, base.q_rotated[layer], base.k_rotated[layer])
    return ((patched - own) * by_pattern(base, gradients, layer)).sum(-1)


def by_pattern(base: Trace, gradients: Gradients, layer: int) -> Float[Tensor, "head query key"]:
    """The derivative by each attention weight, others fixed: the derivative by `z` times the key's value."""
    return gradients.z[layer].transpose(0, 1) @ values_for_heads(base, layer).mT


def _key(base: Trace, source: Trace, gradients: Gradients, layer: int) -> Float[Tensor, "kv_head position"]:
    """One head at a time, because the matrices of one head, about twenty, fit into the processor's cache."""
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
    """For each key, what it would change if only this key's scores were shifted.

    A score shifted by d changes its weight from p to sigmoid(logit(p) + d), and the other keys share the rest in their
    old proportions. So the softmax of a row need not be recomputed for each of its keys. For the key with the largest
    weight of a row, logit(p) is computed from the scores of the other keys: in a saturated row 1 - p is only rounding.
    """
    weight, top = own.softmax(-1), own.argmax(-1, keepdim=True)
    rest = own.scatter(-1, top, float("-inf"))
    odds = own - own.logsumexp(-1, keepdim=True) - torch.log1p(-weight)
    odds.scatter_(-1, top, own.gather(-1, top) - rest.logsumexp(-1, keepdim=True))
    weighted = weight * gradient
    others = (weighted.sum(-1, keepdim=True) - weighted) / (1 - weight)
    # The first query has one key only, and later keys have no score: there nothing can change.
    others.scatter_(-1, top, (rest.softmax(-1).nan_to_num() * gradient).sum(-1, keepdim=True))
    patched = torch.sigmoid(odds + shift.nan_to_num())
    return ((patched - weight) * (gradient - others)).sum(0)
