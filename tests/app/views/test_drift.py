"""The Drift page: what it asks of which model, and what it says of what comes back."""

from dataclasses import replace

from backend.contract.cards import ModelShape, ResolvedModel
from backend.contract.model import DEFAULT_MODEL, ModelSpec
from tests.app.fake_client import FakeClient
from tests.app.opened import notices, opened, titles


def test_the_chosen_model_is_compared_with_itself_in_full_precision() -> None:
    at = opened("drift", quantization="4bit")
    (lead,) = notices(at, "lead")
    assert "drift: " in lead
    assert "of 5 answers" in lead
    both = at.dataframe[0].value
    assert both.loc["quantization"].to_list() == ["none", "4bit"]
    assert both.loc["right answers", "first"] == "80% (40% to 90%)"
    assert both.loc["loss, nats", "first"] == "0.500"
    assert titles(at) == [
        "Net effect of every head in both models",
        "Patching each head at the final token, in both models",
    ]


def test_the_models_are_asked_one_after_the_other() -> None:
    client = FakeClient(slow=True)
    opened("drift", client, quantization="fp4", limit="3", bank="copy-colors")
    (request,) = client.submitted
    assert request.analysis == "readings"
    assert request.model == ModelSpec(DEFAULT_MODEL, quantization="fp4")
    assert request.questions is not None


def test_another_model_and_form_can_be_compared_with() -> None:
    at = opened("drift", against="qwen2.5-coder-0.5b", against_quantization="8bit")
    both = at.dataframe[0].value
    assert both.loc["model"].to_list() == ["qwen2.5-coder-0.5b", DEFAULT_MODEL]
    at.selectbox(key="against").select("").run()
    assert at.dataframe[0].value.loc["model"].to_list() == [DEFAULT_MODEL, DEFAULT_MODEL]
    assert "against" not in at.query_params


def test_the_strongest_heads_stand_with_both_places() -> None:
    places = opened("drift", quantization="4bit").dataframe[1].value
    assert places["node"][0] == "L3H2"
    assert places["rank"][0] == "1"
    assert any("→" in place for place in places["rank"])


def test_both_tell_where_they_come_from() -> None:
    (told,) = (
        text for text in notices(opened("drift", quantization="4bit"), "quiet") if "fingerprint" in text
    )
    first, second = told.splitlines()
    assert first.startswith("First: ")
    assert "quantized" not in first
    assert second.startswith("Second: ")
    assert "quantized 4bit" in second


def test_the_steps_of_bfloat16_are_told() -> None:
    def steps(**params: str) -> list[str]:
        return [caption.value for caption in opened("drift", **params).caption if "bits" in caption.value]

    assert not steps(quantization="4bit")
    (told,) = steps(quantization="4bit", against_dtype="bfloat16")
    # The largest of the made-up logits is between 2 and 4.
    assert "in steps of 0.0156." in told


def test_the_same_model_twice_is_told() -> None:
    client = FakeClient(slow=True)
    at = opened("drift", client)
    assert any("the same model, stored the same way" in text for text in notices(at, "quiet"))
    assert not client.submitted
    assert not notices(at, "lead")


def test_models_of_different_shape_are_refused_before_either_is_run() -> None:
    class TwoShapes(FakeClient):
        def resolve(self, spec: ModelSpec) -> ResolvedModel:
            layers = 28 if spec.name == DEFAULT_MODEL else 24
            return replace(super().resolve(spec), shape=ModelShape(layers, 12, parallel=False))

    client = TwoShapes(slow=True)
    at = opened("drift", client, against="qwen2.5-coder-0.5b")
    (told,) = notices(at, "error")
    assert told.startswith(
        "The models have different shapes, 24 layers of 12 heads and 28 layers of 12 heads"
    )
    assert not client.submitted
    at.selectbox(key="against").select("").run()
    at.selectbox(key="against_quantization").select("4bit").run()
    assert client.submitted
