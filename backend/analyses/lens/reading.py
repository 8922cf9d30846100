"""The logit lens: what the model would say if it stopped here (nostalgebraist 2020), read off rows of the stream."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_normalizer

ROWS = 512
VOCABULARY = 16384
"""How many rows are read at a time, and how many tokens' logits of them are held: 34 MB in float32."""

OnPart = Callable[[], None]


@dataclass(frozen=True)
class Likeliest:
    """The likeliest tokens of some rows, over the whole vocabulary. `normalizer - logit` is a loss in nats."""

    ids: Int[Tensor, "row top"]
    logprobs: Float64[Tensor, "row top"]
    normalizer: Float64[Tensor, " row"]


@torch.no_grad()
def label_logits(
    instrument: Instrument, stream: Float[Tensor, "row d_model"], token_ids: tuple[int, ...]
) -> Float[Tensor, "row label"]:
    """The logits of the labels' tokens at each row: final norm, then unembedding; float32 on the CPU."""
    ids = torch.tensor(token_ids)
    parts = [
        instrument.weights.unembed(_normed(instrument, part), ids).float().cpu()
        for part in torch.split(stream, ROWS)
    ]
    return torch.cat(parts)


@torch.no_grad()
def final_logits(instrument: Instrument, final: Float[Tensor, "1 d_model"]) -> Float[Tensor, " vocabulary"]:
    """The logits of the whole vocabulary at one row; float32 on the CPU."""
    everything = slice(0, instrument.shape.vocabulary)
    return instrument.weights.unembed(_normed(instrument, final), everything)[0].float().cpu()


@torch.no_grad()
def likeliest(
    instrument: Instrument,
    stream: Float[Tensor, "row d_model"],
    count: int,
    on_part: OnPart = lambda: None,
) -> Likeliest:
    """The `count` likeliest tokens at each row. `on_part` is called between parts, and may raise Cancelled."""
    parts = [_likeliest(instrument, part, count, on_part) for part in torch.split(stream, ROWS)]
    return Likeliest(
        torch.cat([part.ids for part in parts]),
        torch.cat([part.logprobs for part in parts]),
        torch.cat([part.normalizer for part in parts]),
    )


def parts_of(instrument: Instrument, rows: int) -> int:
    """How often `likeliest` calls `on_part` for so many rows."""
    return -(-rows // ROWS) * -(-instrument.shape.vocabulary // VOCABULARY)


def _likeliest(
    instrument: Instrument, stream: Float[Tensor, "row d_model"], count: int, on_part: OnPart
) -> Likeliest:
    normed, vocabulary = _normed(instrument, stream), instrument.shape.vocabulary
    best = torch.full((len(stream), 0), 0.0)
    ids = torch.full((len(stream), 0), 0)
    total = torch.full((len(stream),), float("-inf"), dtype=torch.float64)
    for first in range(0, vocabulary, VOCABULARY):
        on_part()
        piece = slice(first, min(first + VOCABULARY, vocabulary))
        logits = instrument.weights.unembed(normed, piece).float()
        total = torch.logaddexp(total, log_normalizer(logits).cpu())
        of_piece = logits.topk(min(count, logits.shape[1]))
        best = torch.cat([best, of_piece.values.cpu()], dim=1)
        ids = torch.cat([ids, of_piece.indices.cpu() + first], dim=1)
        best, order = best.topk(min(count, best.shape[1]))
        ids = ids.gather(1, order)
    return Likeliest(ids, best.double() - total[:, None], total)


def _normed(instrument: Instrument, stream: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_model"]:
    """The final norm of some rows, in the model's dtype and on the unembedding's device."""
    there = stream.to(instrument.weights.device, instrument.model.dtype)
    normed: Tensor = instrument.family.final_norm(instrument.model)(there)
    return normed
