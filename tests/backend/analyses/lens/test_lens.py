"""The logit lens everywhere: against the plain model's own modules, in every family."""

import math

import numpy as np
import pytest
import torch

from backend.analyses import Findings, Task
from backend.analyses.lens import reading
from backend.analyses.lens.reading import likeliest
from backend.analyses.lens.schema import LENS
from backend.contract.errors import Cancelled, RequestError
from backend.contract.progress import Progress, silent
from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.engine import streams
from backend.engine.instrument import Instrument
from tests import hand_wired, tiny

QUESTION = hand_wired.question(1)
SPEC = PromptSpec(template="plain")


def lens(instrument: Instrument, progress: Progress = silent, **params: object) -> Findings:
    request = Request.build("lens", question=QUESTION, prompt=SPEC, params=params)
    return LENS.run(instrument, Task(request, (QUESTION,), ((),)), progress)


def plain_logits(instrument: Instrument, ids: tuple[int, ...]) -> torch.Tensor:
    """`[depth, position, token]`: the plain model's hidden states through its own norm and unembedding."""
    model, family = instrument.model, instrument.family
    seen: list[torch.Tensor] = []

    def keep(_: object, args: tuple[torch.Tensor, ...], kwargs: dict[str, torch.Tensor]) -> None:
        seen.append((args[0] if args else kwargs["hidden_states"]).clone())

    modules = [*family.layers(model), family.final_norm(model)]
    hooks = [module.register_forward_pre_hook(keep, with_kwargs=True) for module in modules]
    with torch.no_grad():
        own = model(input_ids=torch.tensor([ids])).logits
        for hook in hooks:
            hook.remove()
        read = [family.unembedding(model)(family.final_norm(model)(hidden)) for hidden in seen]
    logits = torch.cat(read) / family.logit_divisor(model.config)
    cap = family.logit_cap(model.config)
    logits = logits if cap is None else cap * torch.tanh(logits / cap)
    torch.testing.assert_close(logits[-1], own[0], atol=1e-4, rtol=1e-4)
    return logits


def test_each_cell_is_what_the_models_own_modules_say_there(family_instrument: Instrument) -> None:
    found = lens(family_instrument, top=3)
    prompt = family_instrument.prompt(QUESTION, SPEC)
    logits = plain_logits(family_instrument, prompt.token_ids)
    labels = list(prompt.answer_ids)
    torch.testing.assert_close(
        torch.tensor(found.arrays["label_logits"].values), logits[..., labels], atol=1e-4, rtol=1e-4
    )
    logprobs = torch.log_softmax(logits.double(), -1).float()
    torch.testing.assert_close(
        torch.tensor(found.arrays["label_logprobs"].values), logprobs[..., labels], atol=1e-4, rtol=1e-4
    )
    ids = torch.tensor(found.arrays["top_ids"].values).long()
    top = torch.tensor(found.arrays["top_logprobs"].values)
    torch.testing.assert_close(top, logprobs.topk(3).values, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(top, logprobs.gather(-1, ids), atol=1e-4, rtol=1e-4)
    assert found.ticks["depth"] == ("embedding", "0", "1", "2")[: len(logits)]
    error, limit = found.checks["lens_error"]
    assert error <= limit


def test_the_circuit_is_seen_where_it_works(hand_wired_instrument: Instrument) -> None:
    request = Request.build("lens", question=QUESTION, prompt=hand_wired.SPEC, params={"top": 1})
    found = LENS.run(hand_wired_instrument, Task(request, (QUESTION,), ((),)), silent)
    logits, roles = found.arrays["label_logits"].values, found.scalars["roles"]
    lead = logits - logits.mean(-1, keepdims=True)
    # L1H2 writes B at the final bracket, and nothing does before the last layer.
    assert lead[2, -1].argmax() == 1
    assert lead[2, -1, 1] > 1
    assert abs(lead[:2, -1]).max() < 0.1
    assert abs(lead[:, roles.index("stem")]).max() < 0.4 * lead[2, -1, 1]
    assert found.scalars["texts"][str(int(found.arrays["top_ids"].values[2, -1, 0]))] == "B"


def test_positions_and_pieces_change_no_number(
    plain_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lens(plain_instrument, top=2)
    monkeypatch.setattr(reading, "ROWS", 3)
    monkeypatch.setattr(reading, "VOCABULARY", 50)
    some = lens(plain_instrument, top=2, positions=[7, 4, 11, 12])
    for name, one in some.arrays.items():
        np.testing.assert_allclose(one.values, whole.arrays[name].values[:, [7, 4, 11, 12]], atol=1e-5)
    assert some.scalars["positions"] == [7, 4, 11, 12]


def test_a_prompt_whose_trace_is_not_kept_is_read_on_its_way(
    family_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = lens(family_instrument, top=1)
    own = family_instrument.trace(family_instrument.prompt(QUESTION, SPEC).token_ids)
    monkeypatch.setattr(streams, "kept_whole", lambda shape, tokens: False)
    monkeypatch.setattr(family_instrument, "trace", None)  # no trace of all positions is made
    monkeypatch.setattr(family_instrument, "final_trace", lambda ids, progress: own)
    streamed = lens(family_instrument, top=1)
    for name, one in streamed.arrays.items():
        np.testing.assert_allclose(one.values, whole.arrays[name].values, atol=1e-5)


def test_likeliest_tokens_are_those_of_a_plain_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "VOCABULARY", 7)
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))
    stream = torch.randn(5, instrument.shape.d_model)
    found = likeliest(instrument, stream, 4)
    everything = instrument.weights.unembed(
        instrument.family.final_norm(instrument.model)(stream), torch.arange(instrument.shape.vocabulary)
    )
    wanted = torch.log_softmax(everything.double(), -1).topk(4)
    torch.testing.assert_close(found.logprobs, wanted.values, atol=1e-5, rtol=1e-5)
    assert found.ids.tolist() == wanted.indices.tolist()
    assert math.isclose(float(found.normalizer[0]), float(everything[0].double().logsumexp(0)), abs_tol=1e-5)


def test_reading_the_vocabulary_can_be_cancelled(plain_instrument: Instrument) -> None:
    def cancel(message: str, done: int = 0, total: int = 0) -> None:
        if message == "Reading the likeliest tokens" and done == 1:
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        lens(plain_instrument, cancel, top=1)


def test_a_position_that_is_not_there_is_refused(plain_instrument: Instrument) -> None:
    with pytest.raises(RequestError, match="Position 4000 is out of range"):
        lens(plain_instrument, positions=[4000])
