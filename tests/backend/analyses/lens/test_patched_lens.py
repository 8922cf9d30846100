"""Blocks put from one run into another: against plain hooks on the model, and on the circuit wired by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from backend.analyses import Findings, Task
from backend.analyses.lens.schema import LENS, PATCHED_LENS
from backend.contract.errors import Cancelled, RequestError
from backend.contract.progress import Progress, silent
from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.engine.instrument import Instrument
from backend.questions.prompt import Prompt
from tests import hand_wired, tiny
from tests.backend.analyses.lens.test_lens import plain_logits

QUESTION = hand_wired.question(1)
OTHER = {"kind": "text", "prompt": "pick delta\n(A) red\n(B) blue\n(C) green\n(D) white\nAnswer: ("}


def patched(
    instrument: Instrument,
    *patches: dict[str, Any],
    spec: PromptSpec = hand_wired.SPEC,
    progress: Progress = silent,
    **params: Any,
) -> Findings:
    asked = {"corruption": OTHER, "patches": list(patches), **params}
    request = Request.build("patched-lens", question=QUESTION, prompt=spec, params=asked)
    return PATCHED_LENS.run(instrument, Task(request, (QUESTION,), ((),)), progress)


def block(source: str, layers: tuple[int, int], positions: tuple[int, int]) -> dict[str, Any]:
    return {"from": source, "layers": list(layers), "positions": list(positions)}


def hooked(
    instrument: Instrument,
    base: tuple[int, ...],
    source: tuple[int, ...],
    cells: list[tuple[int, int, int]],
    prompt: Prompt,
) -> torch.Tensor:
    """`[depth, position, label]` of the run on `base` with `(layer, from, to)` replaced by plain hooks."""
    model, family = instrument.model, instrument.family
    layers = list(family.layers(model))
    seen: list[torch.Tensor] = []

    def keep(_: object, args: tuple[torch.Tensor, ...], kwargs: dict[str, torch.Tensor]) -> None:
        seen.append((args[0] if args else kwargs["hidden_states"]).clone())

    hooks = [layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in layers]
    with torch.no_grad():
        model(input_ids=torch.tensor([source]))
    for hook in hooks:
        hook.remove()
    hooks = []
    for layer, at, to in cells:

        def put(
            _: object,
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
            cell: tuple[int, int, int] = (layer, at, to),
        ) -> Any:
            hidden = (args[0] if args else kwargs["hidden_states"]).clone()
            hidden[0, cell[2]] = seen[cell[0] + 1][0, cell[1]]
            return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})

        hooks.append(layers[layer + 1].register_forward_pre_hook(put, with_kwargs=True))
    logits = plain_logits(instrument, base)
    for hook in hooks:
        hook.remove()
    return logits[..., list(prompt.answer_ids)]


def test_both_patched_runs_are_those_of_plain_hooks(family_instrument: Instrument) -> None:
    spec = PromptSpec(template="plain")
    prompt = family_instrument.prompt(QUESTION, spec)
    text = prompt.text.replace("beta", "gama")
    other = tuple(family_instrument.tokenizer(text)["input_ids"])
    same = [mine == its for mine, its in zip(prompt.token_ids, other, strict=True)]
    first, last = same.index(False), len(other) - 1
    found = patched(
        family_instrument,
        block("clean", (-1, 0), (first, first + 2)),
        block("clean", (1, 1), (last - 1, last - 1)),
        block("corrupted", (0, 1), (first + 1, first + 1)),
        block("corrupted", (1, 1), (last, last)),
        spec=spec,
        corruption={"kind": "text", "prompt": text},
    )
    into_other = [(layer, at, at) for layer in (-1, 0) for at in range(first, first + 3)] + [
        (1, last - 1, last - 1)
    ]
    into_clean = [(layer, first + 1, first + 1) for layer in (0, 1)] + [(1, last, last)]
    for name, base, source, cells in (
        ("corrupted", other, prompt.token_ids, into_other),
        ("clean", prompt.token_ids, other, into_clean),
    ):
        wanted = hooked(family_instrument, base, source, cells, prompt)
        ours = torch.tensor(found.arrays[f"lens_{name}_patched"].values)
        torch.testing.assert_close(ours, wanted, atol=2e-4, rtol=1e-4)
        own = torch.tensor(found.arrays[f"lens_{name}"].values)
        # Where attention sees a window only, the patch may not reach the last position.
        assert (ours - own).abs().max() > 1e-3
        assert found.scalars["cells"][name] == len(cells)
    error, limit = found.checks["oracle_error"]
    assert error <= limit


def test_the_stem_decides_what_the_wired_model_says(hand_wired_instrument: Instrument) -> None:
    found = patched(hand_wired_instrument, block("clean", (-1, -1), (0, 3)))
    stem = [i for i, role in enumerate(found.scalars["roles"]) if role == "stem"]
    found = patched(hand_wired_instrument, block("clean", (-1, -1), (stem[0], stem[-1])))
    runs = {name: one["predicted"] for name, one in found.scalars["runs"].items()}
    assert runs == {"clean": "B", "corrupted": "D", "clean_patched": "B", "corrupted_patched": "B"}
    np.testing.assert_allclose(
        found.arrays["lens_corrupted_patched"].values, found.arrays["lens_clean"].values, atol=1e-5
    )


def test_after_the_gatherer_the_final_token_is_enough_and_the_stem_is_not(
    hand_wired_instrument: Instrument,
) -> None:
    final = len(patched(hand_wired_instrument).scalars["tokens"]) - 1
    both = patched(
        hand_wired_instrument, block("clean", (0, 0), (final, final)), block("corrupted", (0, 0), (0, 3))
    )
    assert both.scalars["runs"]["corrupted_patched"]["predicted"] == "B"
    assert both.scalars["runs"]["clean_patched"]["predicted"] == "B"
    before = patched(hand_wired_instrument, block("clean", (-1, -1), (final, final)))
    assert before.scalars["runs"]["corrupted_patched"]["predicted"] == "D"
    assert before.scalars["cells"]["corrupted"] == 1


def test_without_patches_nothing_is_compared_and_equal_cells_change_nothing(
    hand_wired_instrument: Instrument,
) -> None:
    plain = patched(hand_wired_instrument)
    assert plain.checks.keys() == {"lens_error"}
    same = patched(hand_wired_instrument, block("clean", (0, 0), (0, 0)))  # "pick" in both
    assert same.scalars["cells"] == {"clean": 0, "corrupted": 0}
    for name in ("clean", "corrupted"):
        patched_lens = same.arrays[f"lens_{name}_patched"].values
        assert (patched_lens == plain.arrays[f"lens_{name}"].values).all()


def test_unchecked_runs_have_the_same_numbers(hand_wired_instrument: Instrument) -> None:
    one = block("clean", (-1, 0), (1, 3))
    checked, quick = (patched(hand_wired_instrument, one, check=check) for check in (True, False))
    assert "oracle_error" in checked.checks
    assert "oracle_error" not in quick.checks
    for name, array in quick.arrays.items():
        assert (array.values == checked.arrays[name].values).all()


def test_prompts_of_different_length_meet_by_role(plain_instrument: Instrument) -> None:
    other = {"kind": "question", "question": {**hand_wired.question(2).to_json(), "stem": "pick gamma now"}}
    spec = PromptSpec(template="plain")
    base = patched(plain_instrument, spec=spec, corruption=other)
    counterparts, roles = base.scalars["counterparts"], base.scalars["roles"]
    assert len(base.scalars["corrupted_tokens"]) > len(roles)
    assert all(counterparts[i] is None for i, role in enumerate(roles) if role == "stem")
    at = roles.index("label 2")
    found = patched(plain_instrument, block("clean", (0, 0), (at, at)), spec=spec, corruption=other)
    changed = (found.arrays["lens_corrupted_patched"].values != found.arrays["lens_corrupted"].values).any(-1)
    assert changed[1].nonzero()[0].tolist() == [counterparts[at]]
    assert found.checks["oracle_error"][0] <= 1e-4
    with pytest.raises(RequestError, match="has no counterpart in the other prompt"):
        patched(
            plain_instrument,
            block("clean", (0, 0), (roles.index("stem"), roles.index("stem"))),
            spec=spec,
            corruption=other,
        )


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        (block("clean", (0, 1), (0, 0)), "After the last layer, 1, only the answer is"),
        (block("clean", (0, 0), (5, 500)), "reaches position 500. The clean prompt has"),
        (block("clean", (1, 0), (0, 0)), "a first and a last one, counted from -1, not"),
        (block("clean", (-2, 0), (0, 0)), "counted from -1"),
        (block("other", (0, 0), (0, 0)), "one of the runs clean, corrupted, not 'other'"),
        ({"from": "clean", "layers": [0, 0]}, "A patch needs positions"),
        ({"from": "clean", "layers": 0, "positions": [1, 1]}, "a list of the first and the last one"),
        ({"from": ["clean"], "layers": [0, 0], "positions": [1, 1]}, "one of the runs"),
    ],
)
def test_what_cannot_be_patched_is_refused(
    hand_wired_instrument: Instrument, patch: dict[str, Any], told: str
) -> None:
    with pytest.raises(RequestError, match=told):
        patched(hand_wired_instrument, patch)


def test_blocks_are_one_request_in_whatever_order_they_are_given() -> None:
    one, two = block("clean", (0, 0), (1, 2)), block("corrupted", (0, 0), (1, 2))
    requests = [
        Request.build("patched-lens", question=QUESTION, params={"patches": list(given)})
        for given in ((one, two), (two, one, one))
    ]
    first, second = (PATCHED_LENS.canonical(request) for request in requests)
    assert first == second


def test_a_model_that_needs_whole_passes_has_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "qwen2"))
    spec = PromptSpec(template="plain")
    given: dict[str, Any] = {"spec": spec, "corruption": {"kind": "shuffle_labels"}}
    blocks = (block("clean", (0, 1), (30, 33)), block("corrupted", (-1, -1), (20, 50)))
    cones = patched(instrument, *blocks, **given)
    monkeypatch.setattr("backend.engine.sweep.stream_pass.needs_whole_model", lambda instrument: True)
    whole = patched(instrument, *blocks, **given)
    for name, array in whole.arrays.items():
        np.testing.assert_allclose(array.values, cones.arrays[name].values, atol=1e-5)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
@given(
    blocks=some.lists(
        some.tuples(
            some.sampled_from(["clean", "corrupted"]),
            some.lists(some.integers(-1, 1), min_size=2, max_size=2).map(sorted),
            some.lists(some.integers(0, 40), min_size=2, max_size=2).map(sorted),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_blocks_equal_whole_passes(plain_instrument: Instrument, blocks: list[Any]) -> None:
    found = patched(
        plain_instrument,
        *(block(*one) for one in blocks),
        spec=PromptSpec(template="plain"),
        corruption={"kind": "shuffle_labels"},
    )
    for error, limit in found.checks.values():
        assert error <= limit


def test_a_cancel_between_layers_ends_it(hand_wired_instrument: Instrument) -> None:
    def cancel(message: str, done: int = 0, total: int = 0) -> None:
        if message == "Patching":
            raise Cancelled("Cancelled.")

    with pytest.raises(Cancelled):
        patched(hand_wired_instrument, block("clean", (-1, -1), (0, 3)), progress=cancel)


def test_the_lens_of_a_corrupted_prompt_is_that_of_the_pair(plain_instrument: Instrument) -> None:
    spec = PromptSpec(template="plain")
    kind: dict[str, Any] = {"corruption": {"kind": "shuffle_labels"}}
    pair = patched(plain_instrument, spec=spec, **kind)
    request = Request.build("lens", question=QUESTION, prompt=spec, params=kind)
    alone = LENS.run(plain_instrument, Task(request, (QUESTION,), ((),)), silent)
    np.testing.assert_allclose(
        alone.arrays["label_logits"].values, pair.arrays["lens_corrupted"].values, atol=1e-5
    )
    assert alone.scalars["tokens"] == pair.scalars["corrupted_tokens"]
    assert alone.scalars["roles"] == pair.scalars["corrupted_roles"]
    assert alone.scalars["corruption"] == pair.scalars["corruption"]
    assert alone.scalars["answer"] is None
