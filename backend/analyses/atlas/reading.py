"""What one recorded forward pass tells of every head: where its final token looks, what it writes, what it asks for."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.attention.attention import all_final_rows, mass_on, pattern_error, value_norms
from backend.analyses.attribution.attribution import attribute
from backend.analyses.over_questions import answered
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_probabilities
from backend.engine.pattern import for_heads
from backend.engine.trace import Trace
from backend.questions.prompt import Prompt
from backend.results.head_figures import KINDS


@dataclass(frozen=True)
class Reading:
    """One prompt's; the fields are those of `Readings` without the question axis, and what else a pass gives.

    Attributes:
        logits: the labels' logits.
        loss: of the right label's token, in nats.
        mlp_written: what each MLP wrote for each label, in centred logits.
        identity_error, pattern_error: as in attribution and attention.
    """

    attention: Float[Tensor, "kind layer head"]
    weighted: Float[Tensor, "kind layer head"]
    labels: Float[Tensor, "label layer head"]
    written: Float[Tensor, "label layer head"]
    lens: Float[Tensor, "label layer"]
    scores: Float[Tensor, "label layer head"]
    entropy: Float[Tensor, "layer head"]
    logits: Float[Tensor, " label"]
    loss: float
    mlp_written: Float[Tensor, "label layer"]
    identity_error: float
    pattern_error: float


def kinds_of(prompt: Prompt, right: int) -> list[str]:
    """For each token its kind, one of `KINDS`. The last token of an option is its end.

    >>> roles = ("stem", "label 0", "option 0", "option 0", "newline 0", "final")
    >>> kinds_of(Prompt("", (), (), roles, ("A", "B"), (), 1), 1)[1:5]
    ['wrong label', 'wrong option', 'wrong option end', 'wrong newline']
    """
    found = []
    for position, role in enumerate(prompt.roles):
        name, _, place = role.partition(" ")
        if name == "option" and prompt.roles[position + 1 : position + 2] != (role,):
            name = "option end"
        if place and name != "bracket":
            name = f"{'right' if int(place) == right else 'wrong'} {name}"
        found.append(name)
    return found


def read(instrument: Instrument, prompt: Prompt, progress: Progress) -> Reading:
    """Read a prompt whose right answer is known, from its trace. Raises what a trace raises."""
    trace, right = instrument.trace(prompt.token_ids, progress), answered(prompt)
    rows = all_final_rows(trace)
    norms = torch.stack([value_norms(instrument, trace, layer) for layer in range(len(rows))])
    lengths = rows * norms
    kinds = kinds_of(prompt, right)
    labels = [f"label {place}" for place in range(len(prompt.labels))]
    found = attribute(instrument, trace, prompt.answer_ids)
    return Reading(
        attention=mass_on(rows, kinds, KINDS).movedim(-1, 0),
        weighted=mass_on(lengths / lengths.sum(-1, keepdim=True).clamp_min(1e-12), kinds, KINDS).movedim(
            -1, 0
        ),
        labels=mass_on(rows, prompt.roles, labels).movedim(-1, 0),
        written=found.heads.movedim(-1, 0),
        lens=_lens(instrument, trace, prompt),
        scores=_scores(trace, prompt),
        entropy=torch.special.entr(rows).sum(-1),
        logits=trace.logits[list(prompt.answer_ids)],
        loss=-float(log_probabilities(trace.logits)[prompt.answer_ids[right]]),
        mlp_written=found.mlps.T,
        identity_error=found.identity_error,
        pattern_error=pattern_error(trace, rows),
    )


def _lens(instrument: Instrument, trace: Trace, prompt: Prompt) -> Float[Tensor, "label layer"]:
    """The labels' logits read from the residual stream before each layer, in the model's own dtype."""
    with torch.no_grad():
        normed = instrument.family.final_norm(instrument.model)(
            trace.resid_pre[:, -1].to(instrument.weights.device, instrument.model.dtype)
        )
        logits = instrument.weights.unembed(normed, torch.tensor(prompt.answer_ids))
    return logits.float().cpu().T


def _scores(trace: Trace, prompt: Prompt) -> Float[Tensor, "label layer head"]:
    """The final query times each label's key, both before the rotary embedding; NaN for a label without a token."""
    places = [prompt.positions(f"label {place}") for place in range(len(prompt.labels))]
    heads = trace.q.shape[2]
    found = torch.full((len(places), len(trace.q), heads), float("nan"))
    for label, positions in enumerate(places):
        if positions:
            keys = torch.stack([for_heads(k[:, None], heads)[:, 0] for k in trace.k[:, positions[-1]]])
            found[label] = (trace.q[:, -1] * keys).sum(-1)
    return found
