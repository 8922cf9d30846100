"""The arrays of `compression`: means with intervals over questions, and the share of a head's effect that is kept."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from backend.analyses.findings import array
from backend.analyses.intervals import interval_of, mean_interval, with_ends
from backend.analyses.subspace.projections import PARTS
from backend.contract.result import Array

Table = Mapping[str, Tensor]
"""Each figure by name; the first axis is the question."""

DRAWS = 3
UNITS = {"loss": "nats", "accuracy": "share", "kl": "nats", "net_logit": "logits"}
RUNS = ("model", "ablated", "resampled")


def arrays_of(table: Table, ranks: tuple[int, ...]) -> dict[str, Array]:
    """The arrays of the heads projected together, or of the one head."""
    arrays = {
        "rank": array(torch.tensor(ranks), ("rank",), "dimensions"),
        "label_logits": array(table["label_logits"], ("question", "rank", "label"), "logits"),
        "label_logits_model": array(table["label_logits_model"], ("question", "label"), "logits"),
        "right": array(table["right"], ("question",), "label"),
    }
    for name, unit in UNITS.items():
        for part in PARTS:
            arrays |= with_ends(
                f"{name}{part}", interval_of(name, table[f"{name}{part}"].numpy()), ("rank",), unit
            )
        draws = torch.stack([table[f"{name}_random{draw}"].mean(0) for draw in range(DRAWS)], 1)
        arrays[f"{name}_random"] = array(draws, ("rank", "draw"), unit)
    for name, run in _runs():
        arrays |= with_ends(
            f"{name}_{run}", interval_of(name, table[f"{name}_{run}"].numpy()), (), UNITS[name]
        )
    return arrays


def alone_arrays(tables: Sequence[Table]) -> dict[str, Array]:
    """The arrays of each of several heads projected alone; none for one head."""
    arrays: dict[str, Array] = {}
    if not tables:
        return arrays
    figures: list[tuple[str, str, tuple[str, ...]]] = [(name, name, ("head", "rank")) for name in UNITS]
    figures += [(name, f"{name}_{run}", ("head",)) for name, run in _runs() if run != "model"]
    for name, column, axes in figures:
        ends = np.stack([interval_of(name, table[column].numpy()) for table in tables], axis=1)
        arrays |= with_ends(f"alone_{column}", ends, axes, UNITS[name])
    return arrays


def kept_shares(table: Table, ranks: tuple[int, ...], rank: int) -> dict[str, float | None]:
    """The share of a head's effect on the loss that is kept at `rank`: (ablated - projected) / (ablated - model).

    None where the 95 % interval of ablated - model over the questions reaches 0: a share of an effect that may be zero
    says nothing.
    """
    if rank not in ranks:
        return {}
    mean = {name: values.double().mean(0) for name, values in table.items()}
    at = ranks.index(rank)
    random_loss = torch.stack([mean[f"loss_random{draw}"][at] for draw in range(DRAWS)]).mean()

    def share(ablated: str, loss: Tensor) -> float | None:
        contribution, low, _ = mean_interval((table[ablated] - table["loss_model"]).double().numpy())
        return float(mean[ablated] - loss) / float(contribution) if low > 0 else None

    return {
        "kept_share": share("loss_ablated", mean["loss"][at]),
        "kept_share_resampled": share("loss_resampled", mean["loss"][at]),
        "kept_share_random": share("loss_ablated", random_loss),
        "kept_share_random_resampled": share("loss_resampled", random_loss),
    }


def _runs() -> list[tuple[str, str]]:
    return [(name, run) for name in UNITS if name != "kl" for run in RUNS]
