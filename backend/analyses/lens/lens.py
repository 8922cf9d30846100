"""The logit lens at all layers and positions of one prompt."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.findings import array
from backend.analyses.lens.reading import Likeliest, label_logits, likeliest, parts_of
from backend.analyses.lens.schema import LENS
from backend.analyses.patching.corruptions import corrupted
from backend.analyses.patching.pairs import clean_of
from backend.analyses.positions import chosen_positions
from backend.analyses.prediction.prediction import answer_scalars
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import tolerance, worst
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_normalizer
from backend.engine.streams import visit_streams
from backend.questions.prompt import Prompt


def depth_ticks(instrument: Instrument) -> tuple[str, ...]:
    """What stands at each depth: the embedding, then the layer after which the stream is read."""
    return ("embedding", *(str(layer) for layer in range(instrument.shape.layers)))


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The labels at each depth and position and, if asked for, the likeliest tokens."""
    values = LENS.values(task.request)
    prompt, note = _prompt(instrument, task, values["corruption"], progress)
    positions = chosen_positions(values["positions"], len(prompt.token_ids))
    own = instrument.final_trace(prompt.token_ids, progress)
    labels: list[Tensor] = []
    top: list[Likeliest] = []
    final: list[Tensor] = []
    on_part = _counted(progress, (instrument.shape.layers + 1) * parts_of(instrument, len(positions)))

    def visit(depth: int, stream: Tensor) -> None:
        here = stream[list(positions)]
        labels.append(label_logits(instrument, here, prompt.answer_ids))
        if values["top"]:
            top.append(likeliest(instrument, here, values["top"], on_part))
        if depth == instrument.shape.layers:
            final.append(stream[-1:])

    visit_streams(instrument, prompt.token_ids, visit, progress)
    errors = [(label_logits(instrument, final[0], prompt.answer_ids) - own.logits[list(prompt.answer_ids)])]
    if values["top"]:
        normalizer = likeliest(instrument, final[0], 1).normalizer
        errors.append(normalizer - log_normalizer(own.logits.double()))
    return Findings(
        arrays={
            "label_logits": array(torch.stack(labels), ("depth", "position", "label"), "logits"),
            **_over_vocabulary(torch.stack(labels), top),
        },
        ticks={
            "label": prompt.labels,
            "depth": depth_ticks(instrument),
            "position": tuple(prompt.tokens[position] for position in positions),
        },
        scalars={
            **answer_scalars(own, prompt),
            "positions": list(positions),
            **({"corruption": note} if note else {}),
            **({"texts": _texts(instrument, top)} if top else {}),
        },
        checks={
            "lens_error": (worst(float(error.abs().max()) for error in errors), tolerance(instrument).logits)
        },
    )


def _prompt(
    instrument: Instrument, task: Task, corruption: dict[str, Any] | None, progress: Progress
) -> tuple[Prompt, str]:
    """The prompt that is read; if it is a corrupted one, how it differs. Which label is right there is not known."""
    (prompt,) = task.prompts(instrument)
    if corruption is None:
        return prompt, ""
    other = corrupted(instrument, clean_of(instrument, task, 0, prompt, progress), corruption)
    return (
        replace(
            prompt,
            text=instrument.tokenizer.decode(other.token_ids),
            token_ids=other.token_ids,
            tokens=tuple(instrument.tokenizer.decode([token]) for token in other.token_ids),
            roles=other.roles,
            answer=None,
        ),
        other.note,
    )


def _over_vocabulary(labels: Float[Tensor, "depth position label"], top: list[Likeliest]) -> dict[str, Any]:
    if not top:
        return {}
    normalizer = torch.stack([one.normalizer for one in top])
    axes = ("depth", "position", "top")
    return {
        "label_logprobs": array(
            labels.double() - normalizer[..., None], ("depth", "position", "label"), "nats"
        ),
        "top_ids": array(torch.stack([one.ids for one in top]), axes, "token id"),
        "top_logprobs": array(torch.stack([one.logprobs for one in top]), axes, "nats"),
    }


def _texts(instrument: Instrument, top: list[Likeliest]) -> dict[str, str]:
    ids = sorted({token for one in top for token in one.ids.flatten().tolist()})
    return {str(token): instrument.tokenizer.decode([token]) for token in ids}


def _counted(progress: Progress, total: int) -> Callable[[], None]:
    done = 0

    def advance() -> None:
        nonlocal done
        progress("Reading the likeliest tokens", done, total)
        done += 1

    return advance
