"""Sets of nodes as states of heads and MLPs, and their metric on several questions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from backend.analyses.sufficiency.bank import Used
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.sweep import CLEAN, LIVE, REPLACED, FinalSets, States, run_final_sets


@dataclass(frozen=True)
class Case:
    """A set of nodes, by index, and the states of its nodes and of all others."""

    nodes: frozenset[int]
    inside: int
    outside: int


def kept_live(nodes: Iterable[int]) -> Case:
    """The set's nodes are computed from what reaches them, all others are replaced."""
    return Case(frozenset(nodes), LIVE, REPLACED)


def kept_fixed(nodes: Iterable[int]) -> Case:
    """The set's nodes hold the outputs of the question's own run, all others are replaced."""
    return Case(frozenset(nodes), CLEAN, REPLACED)


def ablated(nodes: Iterable[int]) -> Case:
    """The set's nodes are replaced, all others are computed from what reaches them."""
    return Case(frozenset(nodes), REPLACED, LIVE)


def states_of(instrument: Instrument, cases: Sequence[Case]) -> States:
    """The states of all heads and MLPs, one row a case."""
    shape = instrument.shape
    heads = shape.layers * shape.heads
    flat: UInt8[Tensor, "case node"] = torch.empty(len(cases), heads + shape.layers, dtype=torch.uint8)
    for row, case in zip(flat, cases, strict=True):
        row.fill_(case.outside)
        row[sorted(case.nodes)] = case.inside
    return States(flat[:, :heads].reshape(-1, shape.layers, shape.heads), flat[:, heads:])


@dataclass(frozen=True)
class Scored:
    """Every case on every question.

    Attributes:
        sets: what was run; the cases of a question stand one after the other.
        final: the final residual streams.
        values: the metric.
    """

    sets: FinalSets
    final: Float[Tensor, "run d_model"]
    values: Float[Tensor, "question case"]


def score(instrument: Instrument, used: Sequence[Used], cases: Sequence[Case], progress: Progress) -> Scored:
    """Run every case on every question. Raises RequestError and Cancelled as `run_final_sets` does."""
    states, count = states_of(instrument, cases), len(cases)
    run = torch.arange(len(used)).repeat_interleave(count)
    states = States(states.heads.repeat(len(used), 1, 1), states.mlps.repeat(len(used), 1))
    sets = FinalSets([one.run for one in used], run, states)
    final = run_final_sets(instrument, sets, progress)
    values = [one.values(instrument, part) for one, part in zip(used, torch.split(final, count), strict=True)]
    return Scored(sets, final, torch.stack(values))
