"""Gradients are what small changes of the activations do, in every family."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from backend.contract.components import COMPONENTS
from backend.contract.errors import Cancelled, ModelError, ResourceError
from backend.engine.attention_call import AttentionCall
from backend.engine.attention_hook import replacing
from backend.engine.first_order import by_pattern
from backend.engine.gradients import WRITES, Gradients, forward
from backend.engine.instrument import Instrument
from backend.engine.recording import trace
from backend.engine.sweep import components_of
from backend.engine.trace import Routed
from tests import tiny
from tests.backend.engine.hooks import count_hooks
from tests.slots import moved_by, set_to

IDS = (5, 17, 42, 7, 99, 120, 3, 250, 64, 8, 31, 77)
STEP = 2e-3


def loss(logits: Tensor) -> Tensor:
    return logits.logsumexp(-1) - logits[7] + 0.1 * logits[300]


@contextmanager
def moved(instrument: Instrument, component: str, layer: int, by: Tensor) -> Iterator[None]:
    """While inside, `by` is added to a component; hooks of our own, not the engine's."""
    family = instrument.family
    module = family.layers(instrument.model)[layer]
    attention = family.attention(module)

    def before(where: nn.Module) -> RemovableHandle:
        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            hidden = args[0] if args else kwargs.pop("hidden_states")
            return (hidden + by.reshape(hidden.shape).to(hidden), *args[1:]), kwargs

        return where.register_forward_pre_hook(hook, with_kwargs=True)

    shape = instrument.shape
    places: dict[str, Callable[[], RemovableHandle]] = {
        "resid_pre": lambda: before(module),
        "resid_mid": lambda: moved_by(family.attn_out(module, shape), by),
        "attn_out": lambda: moved_by(family.attn_out(module, shape), by),
        "mlp_out": lambda: moved_by(family.mlp_out(module, shape), by),
        "z": lambda: before(family.output(attention)),
        "q": lambda: moved_by(family.query(attention, shape), by),
        "k": lambda: moved_by(family.key(attention, shape), by),
        "v": lambda: moved_by(family.value(attention, shape), by),
    }
    with ExitStack() as stack:
        if component == "pattern":
            stack.enter_context(replacing(instrument.model, family, attending(instrument, attention, by)))
        else:
            stack.callback(places[component]().remove)
        yield


def attending(instrument: Instrument, patched: nn.Module, by: Tensor) -> Callable[[AttentionCall], Tensor]:
    recorded = instrument.trace(IDS)
    modules = [instrument.family.attention(layer) for layer in instrument.family.layers(instrument.model)]

    def attend(call: AttentionCall) -> Tensor:
        group, layer = call.query.shape[1] // call.key.shape[1], modules.index(call.module)
        key, value = call.key.repeat_interleave(group, 1), call.value.repeat_interleave(group, 1)
        mask, cap = recorded.masks[layer], recorded.softcaps[layer]
        mask = torch.full((len(IDS), len(IDS)), float("-inf")).triu(1) if mask is None else mask
        scores = call.query @ key.mT * call.scaling
        scores = scores if cap is None else cap * (scores / cap).tanh()
        pattern = (scores + mask).softmax(-1)
        return ((pattern + by.to(pattern) if call.module is patched else pattern) @ value).transpose(1, 2)

    return attend


def value_of(instrument: Instrument) -> float:
    with torch.no_grad():
        return float(loss(instrument.model(torch.tensor([IDS]), use_cache=False).logits[0, -1].double()))


@pytest.fixture(scope="module")
def precise(family_instrument: Instrument) -> Instrument:
    """The family's model in double precision, so that a small step is not lost in rounding."""
    name = family_instrument.resolved.name
    model = tiny.tiny_model(name).double()
    model.set_experts_implementation("eager")  # the usual one has no double precision
    if hasattr(model.config, "clip_qkv"):
        model.config.clip_qkv = None  # what is clamped has no central difference
    return Instrument(tiny.loaded(model, tiny.tokenizer(), name))


@pytest.fixture(scope="module")
def found(precise: Instrument) -> Gradients:
    graph = forward(precise, IDS)
    return graph.gradients(loss(graph.logits))


@pytest.mark.sampled
@pytest.mark.parametrize("component", COMPONENTS)
def test_gradients_are_central_differences(precise: Instrument, found: Gradients, component: str) -> None:
    if component not in components_of(precise.shape):
        pytest.skip(f"{precise.resolved.name} has no {component}")
    check_by_differences(precise, found, component)


@pytest.mark.parametrize("component", ["q", "k", "v"])
def test_what_is_clamped_is_differentiated_by_after_its_clamp(component: str) -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("olmo").double(), tiny.tokenizer(), "olmo"))
    limit = instrument.model.config.clip_qkv
    assert (getattr(instrument.trace(IDS), component).abs() == limit).float().mean() > 0.2
    graph = forward(instrument, IDS)
    gradients = graph.gradients(loss(graph.logits))
    with clamping(instrument, limit):
        check_by_differences(instrument, gradients, component)


@contextmanager
def clamping(instrument: Instrument, limit: float) -> Iterator[None]:
    """While inside, hooks clamp in the model's place, so that a value can be moved after its clamp."""
    family, config = instrument.family, instrument.model.config
    attentions = [family.attention(layer) for layer in family.layers(instrument.model)]
    with ExitStack() as stack:
        for part in (family.query, family.key, family.value):
            for attention in attentions:
                module = part(attention, instrument.shape).module
                hook = module.register_forward_hook(lambda _, args, output: output.clamp(-limit, limit))
                stack.callback(hook.remove)
        config.clip_qkv = None
        yield


def derivative(instrument: Instrument, found: Gradients, component: str) -> Tensor:
    """By a component; by the pattern what follows from that by `z`."""
    if component != "pattern":
        return getattr(found, component)
    recorded = instrument.trace(IDS)
    return torch.stack([by_pattern(recorded, found, layer) for layer in range(instrument.shape.layers)])


def check_by_differences(precise: Instrument, found: Gradients, component: str) -> None:
    gradient = derivative(precise, found, component)
    for layer in range(precise.shape.layers):
        for seed in range(4):
            step = torch.zeros(gradient.shape[1:], dtype=torch.float64)
            head = seed % step.shape[0 if component == "pattern" else 1]
            place = (-1 - seed,) if step.ndim == 2 else (-1 - seed, head)
            place = place[::-1] if component == "pattern" else place
            torch.manual_seed(seed)
            step[place] = torch.randn(step[place].shape, dtype=torch.float64)
            ends = []
            for sign in (1, -1):
                with moved(precise, component, layer, sign * STEP * step):
                    ends.append(value_of(precise))
            expected = (ends[0] - ends[1]) / (2 * STEP)
            own = float((gradient[layer] * step).sum())
            assert own == pytest.approx(expected, rel=5e-3, abs=5e-4)


def test_gradients_are_not_all_nothing(precise: Instrument, found: Gradients) -> None:
    for component in components_of(precise.shape):
        assert derivative(precise, found, component)[0].abs().max() > 1e-2, component


def test_the_pass_is_the_models_own(family_instrument: Instrument) -> None:
    recorded = trace(family_instrument.model, family_instrument.family, IDS)
    graph = forward(family_instrument, IDS)
    assert torch.equal(graph.logits, recorded.logits)
    for name, value in vars(recorded).items():
        assert same(getattr(graph.trace, name), value), name
    gradients = graph.gradients(loss(graph.logits))
    for component in components_of(family_instrument.shape).keys() - {"pattern"}:
        assert getattr(gradients, component).shape == getattr(recorded, component).shape
    assert not any(value.requires_grad for value in vars(gradients).values() if value is not None)


def same(one: Any, other: Any) -> bool:
    """Whether two things that a trace holds are the same to the last bit."""
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, Routed):
        return same(tuple(vars(one).values()), tuple(vars(other).values()))
    if isinstance(one, dict):
        return one.keys() == other.keys() and same(tuple(one.values()), tuple(other.values()))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_only_the_last_row_of_the_last_layer_matters(family_instrument: Instrument) -> None:
    graph = forward(family_instrument, IDS)
    gradients = graph.gradients(loss(graph.logits))
    one_row = {"z", "q", "mlp_out", "attn_out", "resid_mid"} & components_of(family_instrument.shape).keys()
    for component in one_row:
        assert (getattr(gradients, component)[-1, :-1] == 0).all()
        assert (getattr(gradients, component)[-1, -1] != 0).any()


@pytest.mark.parametrize("dropped", range(3))
def test_a_dropped_layer_passes_nothing_on(family_instrument: Instrument, dropped: int) -> None:
    graph = forward(family_instrument, IDS)
    value = loss(graph.logits)
    whole, without = graph.gradients(value), graph.gradients(value, dropped=dropped)
    for component in ("attn_out", "mlp_out", "z", "q", "k", "v"):
        assert (getattr(without, component)[dropped] == 0).all(), component
        assert torch.equal(
            getattr(without, component)[dropped + 1 :], getattr(whole, component)[dropped + 1 :]
        ), component
    # What is left of the residual stream's gradient comes from the layers above.
    if dropped < 2:
        torch.testing.assert_close(without.resid_pre[dropped], whole.resid_pre[dropped + 1])
    if without.resid_mid is not None:
        torch.testing.assert_close(without.resid_mid[dropped], without.resid_pre[dropped])
    # ... and nothing stays dropped.
    assert torch.equal(graph.gradients(value).z, whole.z)


def test_dropping_is_holding_the_layers_writes_fixed(precise: Instrument) -> None:
    """As the definition has it: the same derivative of a model in which layer 1 writes what it wrote."""
    graph = forward(precise, IDS)
    gradient = graph.gradients(loss(graph.logits), dropped=1).z[0]
    recorded = precise.trace(IDS)
    torch.manual_seed(0)
    step = torch.randn(gradient.shape, dtype=torch.float64)
    layer = precise.family.layers(precise.model)[1]
    family, shape = precise.family, precise.shape
    ends = []
    with ExitStack() as stack:
        stack.callback(set_to(family.attn_out(layer, shape), recorded.attn_out[1]).remove)
        stack.callback(set_to(family.mlp_out(layer, shape), recorded.mlp_out[1]).remove)
        for sign in (1, -1):
            with moved(precise, "z", 0, sign * STEP * step):
                ends.append(value_of(precise))
    assert float((gradient * step).sum()) == pytest.approx(
        (ends[0] - ends[1]) / (2 * STEP), rel=5e-3, abs=5e-4
    )
    assert set(WRITES) == {"attn_out", "mlp_out"}


@pytest.mark.parametrize("message", ["Running", "Going back"])
def test_a_cancelled_pass_leaves_the_model_as_it_was(family_instrument: Instrument, message: str) -> None:
    family_instrument.trace(IDS)
    hooks, seen = count_hooks(family_instrument), []
    usual = family_instrument.model.config._attn_implementation

    def cancel(said: str, done: int = 0, total: int = 0) -> None:
        seen.append(said)
        if said.startswith(message) and done == 2:
            raise Cancelled("stop")

    def both() -> None:
        graph = forward(family_instrument, IDS, cancel)
        graph.gradients(loss(graph.logits), cancel)

    with pytest.raises(Cancelled):
        both()
    assert seen
    assert seen[-1].startswith(message)
    assert count_hooks(family_instrument) == hooks
    assert family_instrument.model.config._attn_implementation == usual
    assert not any(parameter.requires_grad for parameter in family_instrument.model.parameters())
    with torch.no_grad():
        logits = family_instrument.model(torch.tensor([IDS]), logits_to_keep=1).logits[0, -1]
    assert torch.equal(logits, family_instrument.trace(IDS).logits)


def test_the_graph_is_freed_with_its_last_name(family_instrument: Instrument) -> None:
    graph = forward(family_instrument, IDS)
    graph.gradients(loss(graph.logits))
    tensors = [weakref.ref(tensor) for parts in graph._tensors.values() for tensor, _ in parts]
    recorded = graph.trace
    del graph
    assert recorded.positions == len(IDS)
    assert all(reference() is None for reference in tensors)


def test_a_part_that_lets_no_gradient_through_is_refused() -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "opaque"))
    mlp = instrument.family.mlp(instrument.family.layers(instrument.model)[1])
    mlp.register_forward_hook(lambda _, args, output: output.detach())
    with pytest.raises(
        ModelError, match="Gradients of opaque could not be taken: they are lost before mlp_out"
    ):
        forward(instrument, IDS)


def test_a_prompt_too_long_for_the_memory_is_refused(
    hand_wired_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.engine.gradients.available_memory", lambda device: 1000)
    with pytest.raises(ResourceError, match="12 tokens need about"):
        forward(hand_wired_instrument, tuple(range(12)))


def test_each_card_needs_room_for_its_own_layers(
    hand_wired_instrument: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"cuda:0": 10**9, "cuda:1": 10**9}
    monkeypatch.setattr("backend.engine.gradients.available_memory", free.__getitem__)
    monkeypatch.setattr(hand_wired_instrument, "layers_on", {"cuda:0": 1, "cuda:1": 1})
    forward(hand_wired_instrument, tuple(range(12)))
    free["cuda:1"] = 1000
    with pytest.raises(ResourceError, match=r"0\.0 GB are free\. Take a shorter prompt, or fewer shots\."):
        forward(hand_wired_instrument, tuple(range(12)))


def test_a_failing_backward_pass_is_a_model_error() -> None:
    instrument = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "one way"))

    class OneWay(torch.autograd.Function):
        @staticmethod
        def forward(context: object, value: Tensor) -> Tensor:
            return value.clone()

        @staticmethod
        def backward(context: object, gradient: Tensor) -> Tensor:
            raise RuntimeError("no way back")

    mlp = instrument.family.mlp(instrument.family.layers(instrument.model)[1])
    mlp.register_forward_hook(lambda _, args, output: OneWay.apply(output))  # type: ignore[no-untyped-call]
    graph = forward(instrument, IDS)
    with pytest.raises(ModelError, match="one way could not be taken: no way back"):
        graph.gradients(loss(graph.logits))


def test_a_bfloat16_model_gives_float32_gradients() -> None:
    instrument = Instrument(
        tiny.loaded(tiny.tiny_model("qwen2").to(torch.bfloat16), tiny.tokenizer(), "bfloat")
    )
    exact = Instrument(tiny.loaded(tiny.tiny_model("qwen2"), tiny.tokenizer(), "float"))
    graph, precise = forward(instrument, IDS), forward(exact, IDS)
    own, expected = graph.gradients(loss(graph.logits)), precise.gradients(loss(precise.logits))
    for component in COMPONENTS.keys() - {"pattern"}:
        close, wanted = getattr(own, component), getattr(expected, component)
        assert close.dtype == torch.float32
        assert torch.nn.functional.cosine_similarity(close.flatten(), wanted.flatten(), dim=0) > 0.99
