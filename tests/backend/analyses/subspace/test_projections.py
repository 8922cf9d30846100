"""Several heads projected together: what they read is what they read in a whole pass with hooks in it."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.analyses import Task
from backend.analyses.mutations.schema import MUTATIONS_ANALYSIS
from backend.analyses.subspace.fitting import Fit, question_of
from backend.analyses.subspace.head_inputs import ByHead, HeadRow, Options, collect_heads
from backend.analyses.subspace.projections import PARTS, Projection, projected, rotations_of
from backend.analyses.subspace.replaced_outputs import run_replaced
from backend.analyses.subspace.schema import COMPRESSION
from backend.contract.analysis import Analysis
from backend.contract.errors import Cancelled, RequestError
from backend.contract.head import HeadRef
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.engine.pattern import kv_head_of
from backend.engine.recording import trace
from backend.engine.sweep import FinalRows
from backend.engine.trace import Trace
from backend.models.families import Slot
from tests import tiny
from tests.backend.analyses.subspace.test_subspace import questions
from tests.slots import with_value

HEADS = [[2, 1], [1, 0], [1, 2], [2, 0]]
"""Two in each of two layers; with grouped queries they share keys or do not. In layer 0 all final queries are alike."""


def one_question(instrument: Instrument) -> tuple[ByHead, dict[HeadRef, Fit]]:
    """Its heads' inputs, and subspaces of vectors around them: a sliding window makes all final queries alike."""
    asked = questions(1)
    request = Request.build(
        "compression", questions=asked, prompt=PromptSpec(template="plain"), params={"heads": HEADS}
    )
    options = Options.of(instrument, COMPRESSION.values(request))
    (inputs,), _ = collect_heads(instrument, Task(request, asked, ((),)), options, silent)
    drawn = torch.Generator().manual_seed(0)

    def around(vector: Tensor) -> Tensor:
        return vector + 0.3 * torch.randn(vector.shape, generator=drawn)

    some = {
        head: [
            replace(own, q=around(own.q), k=around(own.k), v=around(own.v), z=around(own.z)) for _ in range(5)
        ]
        for head, own in inputs.items()
    }
    return inputs, {head: Fit.on(of_head, head) for head, of_head in some.items()}


def with_outputs(instrument: Instrument, ids: tuple[int, ...], z: Mapping[HeadRef, Tensor]) -> Trace:
    """A whole recorded pass with these heads' final outputs set."""
    family, model = instrument.family, instrument.model

    def setting(slot: Slot, head: int, value: Tensor) -> Any:
        def change(_: object, args: tuple[Any, ...]) -> tuple[Any, ...]:
            whole = slot.read(args[0]).clone()
            whole[-1, head] = value
            return (with_value(slot, args[0], whole), *args[1:])

        return slot.module.register_forward_pre_hook(change)

    with ExitStack() as stack:
        for head, value in z.items():
            slot = family.z(family.attention(family.layers(model)[head.layer]), instrument.shape)
            stack.callback(setting(slot, head.head, value).remove)
        return trace(model, family, ids)


@pytest.mark.parametrize("part", PARTS)
def test_heads_read_what_the_heads_below_left(plain_instrument: Instrument, part: str) -> None:
    inputs, fits = one_question(plain_instrument)
    rotations = rotations_of(plain_instrument, [*inputs])
    cases = [Projection(fits, rank, part) for rank in (0, 2)]
    reads = projected(plain_instrument, inputs, rotations, cases, silent)
    answer = run_replaced(
        plain_instrument, question_of(inputs), {h: read.z for h, read in reads.items()}, silent
    )
    prompt = question_of(inputs).prompt
    for number, case in enumerate(cases):
        set_so_far: dict[HeadRef, Tensor] = {}
        for layer in (1, 2):
            run = with_outputs(plain_instrument, prompt.token_ids, set_so_far)
            for head in (head for head in inputs if head.layer == layer):
                at, kv_head = list(inputs[head].positions), kv_head_of(run, head.head)
                own = (run.q[layer, -1, head.head], run.k[layer, at, kv_head], run.v[layer, at, kv_head])
                given = [vector[None] for vector in case.of(head, *own)]
                read = HeadRow(run, inputs[head], head, rotations[layer]).output(*given)
                torch.testing.assert_close(reads[head].z[number], read.z[0], atol=1e-4, rtol=1e-4)
                torch.testing.assert_close(
                    reads[head].attention[number], read.attention[0], atol=1e-5, rtol=1e-4
                )
                set_so_far[head] = read.z[0]
        run = with_outputs(plain_instrument, prompt.token_ids, set_so_far)
        logits = run.logits[list(prompt.answer_ids)]
        torch.testing.assert_close(answer.logits[number], logits, atol=1e-4, rtol=1e-4)


def test_queries_are_those_of_one_pass_with_hooks(family_instrument: Instrument) -> None:
    instrument = family_instrument
    inputs, fits = one_question(instrument)
    family, shape = instrument.family, instrument.shape
    slots = {
        head: family.query(family.attention(family.layers(instrument.model)[head.layer]), shape)
        for head in inputs
    }
    if any(slot.limit is not None for slot in slots.values()):
        pytest.skip("the model would clamp what is projected")
    reads = projected(
        instrument, inputs, rotations_of(instrument, [*inputs]), [Projection(fits, 1, "_q")], silent
    )
    answer = run_replaced(instrument, question_of(inputs), {h: read.z for h, read in reads.items()}, silent)

    def projecting(slot: Slot, head: HeadRef) -> Any:
        def change(_: object, args: object, output: Tensor) -> Tensor:
            whole = slot.read(output).clone()
            whole[-1, head.head] = fits[head].q.projected(whole[-1, head.head], 1)
            return with_value(slot, output, whole)

        return slot.module.register_forward_hook(change)

    prompt = question_of(inputs).prompt
    with ExitStack() as stack, torch.no_grad():
        for head, slot in slots.items():
            stack.callback(projecting(slot, head).remove)
        logits = instrument.model(torch.tensor([prompt.token_ids]), use_cache=False).logits[0, -1]
    torch.testing.assert_close(answer.logits[0], logits[list(prompt.answer_ids)], atol=1e-4, rtol=1e-4)


def test_every_dimension_changes_nothing(plain_instrument: Instrument) -> None:
    inputs, fits = one_question(plain_instrument)
    whole = Projection(fits, plain_instrument.shape.d_head)
    reads = projected(plain_instrument, inputs, rotations_of(plain_instrument, [*inputs]), [whole], silent)
    for head, read in reads.items():
        torch.testing.assert_close(read.z[0], inputs[head].z, atol=1e-5, rtol=1e-4)


def test_rows_in_small_batches_are_the_same(
    plain_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, _ = one_question(plain_instrument)
    base = plain_instrument.trace(question_of(inputs).prompt.token_ids)
    z = torch.linspace(-1, 1, 5)[:, None] * base.z[0, -1, 1]

    def queries() -> Tensor:
        rows = FinalRows(plain_instrument, base, 0, 5)
        rows.go_up({1: z})
        rows.go_up({})
        return rows.inputs().q

    together = queries()
    monkeypatch.setattr("backend.engine.sweep.final_rows.batch_rows", lambda *_: 2)
    torch.testing.assert_close(queries(), together)
    # The last case is the base run's own.
    torch.testing.assert_close(together[-1], base.q[2, -1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("analysis", [COMPRESSION, MUTATIONS_ANALYSIS])
def test_rows_that_depend_on_their_neighbours_are_refused_before_anything_is_run(
    monkeypatch: pytest.MonkeyPatch, analysis: Analysis
) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))
    inputs, fits = one_question(instrument)
    monkeypatch.setattr("backend.engine.sweep.final_rows.needs_whole_model", lambda _: True)
    one_layer = {head: own for head, own in inputs.items() if head.layer == 1}
    rotations, cases = rotations_of(instrument, [*one_layer]), [Projection(fits, 1)]
    assert projected(instrument, one_layer, rotations, cases, silent).keys() == one_layer.keys()

    def ran(message: str, done: int = 0, total: int = 0) -> None:
        pytest.fail(f"It ran: {message}")

    asked = questions(6)
    request = Request.build(analysis.name, questions=asked, params={"heads": HEADS})
    with pytest.raises(RequestError, match="Choose heads of one layer"):
        analysis.run(instrument, Task(request, asked, ((),) * 6), ran)


def test_going_up_can_be_cancelled(plain_instrument: Instrument) -> None:
    inputs, fits = one_question(plain_instrument)

    def stop(message: str, done: int = 0, total: int = 0) -> None:
        raise Cancelled("stopped")

    plain_instrument.trace(question_of(inputs).prompt.token_ids)
    with pytest.raises(Cancelled):
        projected(
            plain_instrument, inputs, rotations_of(plain_instrument, [*inputs]), [Projection(fits, 1)], stop
        )


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"heads": []}, "a list of 1 to 16 heads"),
        ({"heads": [[0, 0]] * 17}, "a list of 1 to 16 heads"),
        ({"heads": "L1H2"}, "a list of 1 to 16 heads"),
        ({"heads": [[1, 2], [1, 2]]}, "names L1H2 twice"),
        ({"heads": [[1, 2]], "head": [1, 2]}, "Give one of them"),
        ({"heads": [[1]]}, "must be"),
    ],
)
def test_bad_lists_are_refused_without_a_model(params: dict[str, object], said: str) -> None:
    request = Request.build("compression", questions=questions(4), params=params)
    with pytest.raises(RequestError, match=said):
        COMPRESSION.check(request)
