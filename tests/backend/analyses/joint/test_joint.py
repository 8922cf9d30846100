"""Heads replaced together: against a plain hook on the model, and on the circuit that was wired by hand."""

import random
from typing import Any

import pytest
import torch

from backend.analyses import Findings, Task
from backend.analyses.joint.joint import random_set
from backend.analyses.joint.schema import JOINT
from backend.analyses.patching.schema import PATCHING
from backend.contract.errors import RequestError
from backend.contract.head import HeadRef
from backend.contract.progress import silent
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from tests import hand_wired

QUESTION = hand_wired.question(1)
TEXT = {"kind": "text", "prompt": "pick delta\n(A) red\n(B) blue\n(C) green\n(D) white\nAnswer: ("}
METRIC = {"kind": "net_logit", "label": "B"}


def joint(
    instrument: Instrument,
    question: Question = QUESTION,
    spec: PromptSpec = hand_wired.SPEC,
    **params: object,
) -> Findings:
    request = Request.build(
        "joint-patching", question=question, prompt=spec, params={"metric": METRIC, **params}
    )
    return JOINT.run(instrument, Task(request, (question,), ((),)), silent)


def test_the_result_equals_passes_with_a_hook_on_the_output_projection(family_instrument: Instrument) -> None:
    spec = PromptSpec(template="plain")
    prompt = family_instrument.prompt(QUESTION, spec)
    text = prompt.text.replace("beta", "gama")
    other = tuple(family_instrument.tokenizer(text)["input_ids"])
    heads = [HeadRef(0, 1), HeadRef(1, 0), HeadRef(1, 2)]
    found = joint(
        family_instrument,
        spec=spec,
        corruption={"kind": "text", "prompt": text},
        heads=[[head.layer, head.head] for head in heads],
        alone=True,
        random=2,
    )
    model, family = family_instrument.model, family_instrument.family
    size = family_instrument.shape.d_head
    source = family_instrument.trace(other)
    rows = found.arrays["label_logits"].values
    assert [one["kind"] for one in found.scalars["sets"]] == ["together", *["alone"] * 3, *["random"] * 2]
    for row, one in zip(rows, found.scalars["sets"], strict=True):
        hooks = []
        for name in one["heads"]:
            head = HeadRef.parse(name)
            slot = family.z(family.attention(family.layers(model)[head.layer]), family_instrument.shape)

            def put(
                _: object, args: tuple[torch.Tensor, ...], head: HeadRef = head
            ) -> tuple[torch.Tensor, ...]:
                changed = args[0].clone()
                flat = changed.reshape(*changed.shape[:2], -1)
                flat[0, -1, head.head * size : (head.head + 1) * size] = source.z[head.layer, -1, head.head]
                return (flat.reshape(changed.shape), *args[1:])

            hooks.append(slot.module.register_forward_pre_hook(put))
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([prompt.token_ids])).logits[0, -1]
        for hook in hooks:
            hook.remove()
        torch.testing.assert_close(torch.tensor(row), logits[list(prompt.answer_ids)], atol=2e-4, rtol=1e-4)
    assert found.checks["oracle_error"][0] <= found.checks["oracle_error"][1]


def test_the_wired_head_carries_the_answer_and_random_heads_do_not(hand_wired_instrument: Instrument) -> None:
    letter = hand_wired.CORRECT_LETTER
    found = joint(
        hand_wired_instrument, corruption=TEXT, heads=[[letter.layer, letter.head]], alone=True, random=3
    )
    lost = found.arrays["lost"].values
    assert lost[0] == lost[1] > 0.9
    assert abs(lost[2:]).max() < 0.05
    assert found.scalars["clean"] > found.scalars["corrupted"]
    assert found.arrays["label_logits"].values[0].argmax() == 3
    assert found.arrays["label_logits_clean"].values.argmax() == 1
    assert found.arrays["label_logits_corrupted"].values.argmax() == 3


def test_random_heads_are_of_the_same_layers_and_none_of_those_named() -> None:
    heads = (HeadRef(0, 1), HeadRef(2, 0), HeadRef(2, 3))
    for seed in range(20):
        drawn = random_set(heads, (3, 4), random.Random(seed))
        assert [head.layer for head in drawn] == [0, 2, 2]
        assert len(set(drawn)) == 3
        assert not set(drawn) & set(heads)


def test_where_a_layer_is_used_up_other_layers_serve() -> None:
    heads = (HeadRef(1, 0), HeadRef(1, 1))
    drawn = random_set(heads, (2, 2), random.Random(0))
    assert [head.layer for head in drawn] == [0, 0]
    assert random_set((HeadRef(0, 0),), (1, 1), random.Random(0)) == ()


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"heads": [[9, 0]]}, "There is no head L9H0"),
        ({"heads": []}, "must be a list of 1 to"),
        ({"heads": [[1, 2], [1, 2]]}, "twice"),
        ({"heads": [[1, 2]], "random": -1}, "random"),
        (
            {"heads": [[1, 2]], "corruption": {"kind": "random_letters", "draws": 2}},
            "one corrupted prompt, not 2",
        ),
    ],
)
def test_what_cannot_be_replaced_is_refused(
    hand_wired_instrument: Instrument, params: dict[str, Any], told: str
) -> None:
    with pytest.raises(RequestError, match=told):
        joint(hand_wired_instrument, **params)


def test_a_head_alone_has_the_share_that_patching_gives_it(hand_wired_instrument: Instrument) -> None:
    found = joint(hand_wired_instrument, corruption=TEXT, heads=[[0, 1], [1, 2]], alone=True)
    request = Request.build(
        "patching",
        question=QUESTION,
        prompt=hand_wired.SPEC,
        params={"corruption": TEXT, "metric": METRIC, "direction": "noise", "positions": "final"},
    )
    patched = PATCHING.run(hand_wired_instrument, Task(request, (QUESTION,), ((),)), silent)
    recovered = patched.arrays["recovered"].values[..., -1]
    alone = found.arrays["lost"].values[1:]
    assert alone.tolist() == pytest.approx([1 - recovered[0, 1], 1 - recovered[1, 2]], abs=1e-5)
