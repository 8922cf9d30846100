"""The real models: their numbers are plain transformers', and the head we know of is found."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.cli import main
from backend.contract.head import HeadRef
from backend.contract.model import DEFAULT_MODEL, ModelSpec
from backend.contract.request import QuestionSet, Request
from backend.contract.result import Result
from backend.models import prepare, resolve
from backend.results.drift import drift
from backend.service.local import LocalClient
from tests.backend.service.serving import serving

SMALL = ModelSpec("qwen2.5-coder-0.5b", dtype="float32")
RAVEN = {
    "subject": "colors",
    "stem": "What color is a raven?",
    "options": ["red", "black", "white", "green"],
    "answer": 1,
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> LocalClient:
    return serving(tmp_path_factory.mktemp("results"))


def answer(client: LocalClient, request: Request) -> Result:
    status = client.wait(client.submit(request), 600)
    assert status.state == "done", status.error
    return client.result(status.id)


@pytest.mark.small_model
def test_the_documented_request_writes_the_documented_files(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    request = {
        "analysis": "attribution",
        "model": SMALL.to_json(),
        "question": RAVEN,
        "prompt": {"template": "paper", "labels": ["A", "B", "C", "D"], "shots": 0},
        "params": {"head": [16, 7]},
    }
    file.write_text(json.dumps(request), encoding="utf-8")
    assert main(["run", str(file), "--out", str(tmp_path / "out")]) == 0
    described = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert described["identity_error"] < 1e-3
    assert {"tokens", "roles", "predicted", "loss", "seconds", "model", "versions"} <= set(described)
    assert len(described["model"]["fingerprint"]) >= 12
    arrays = np.load(tmp_path / "out" / "arrays.npz")
    assert {name: arrays[name].shape for name in arrays} == {
        "heads": (24, 14, 4),
        "mlps": (24, 4),
        "embedding": (4,),
        "bias": (4,),
        "source": (len(described["tokens"]), 4),
    }


@pytest.mark.small_model
def test_the_tokenizer_works_without_the_parts_it_was_built_from() -> None:
    mine = prepare(dataclasses.replace(SMALL, device="cpu"))().tokenizer
    theirs = AutoTokenizer.from_pretrained(resolve(SMALL).folder)
    text = "What color is a raven?\n(A) red <|im_end|> 12.5 naïve 乌鸦\t(B)"
    assert mine(text, return_offsets_mapping=True) == theirs(text, return_offsets_mapping=True)
    ids = list(range(0, len(theirs), 997))
    assert mine.convert_ids_to_tokens(ids) == theirs.convert_ids_to_tokens(ids)
    assert mine.decode(ids) == theirs.decode(ids)
    assert mine.get_vocab() == theirs.get_vocab()
    assert mine.unk_token_id == theirs.unk_token_id
    assert not hasattr(mine, "_vocab")


@pytest.mark.small_model
def test_label_logits_are_those_of_plain_transformers(client: LocalClient) -> None:
    found = answer(
        client, Request.from_json({"analysis": "prediction", "model": SMALL.to_json(), "question": RAVEN})
    )
    folder = resolve(SMALL).folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    text = (
        "A highly knowledgeable and intelligent artificial intelligence model answers multiple-choice questions "
        "about colors.\n\nWhat color is a raven?\n(A) red\n(B) black\n(C) white\n(D) green\nAnswer: ("
    )
    assert found.scalars["text"] == text
    with torch.no_grad():
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0, -1]
    ids = [tokenizer.convert_tokens_to_ids(letter) for letter in "ABCD"]
    assert found["label_logits"] == pytest.approx(logits[ids].numpy(), abs=1e-4)
    assert found["label_logprobs"] == pytest.approx(torch.log_softmax(logits, -1)[ids].numpy(), abs=1e-4)


@pytest.mark.small_model
def test_the_head_we_know_of_is_found_over_copying_questions(client: LocalClient) -> None:
    questions = QuestionSet("copy-colors", limit=60)
    attribution = answer(client, Request.build("attribution", model=SMALL, questions=questions))
    net = attribution["net"]
    order = np.argsort(-net, axis=None)[:3]
    assert HeadRef(16, 7) in {HeadRef(*divmod(int(index), net.shape[1])) for index in order}
    assert attribution["net_low"][16, 7] > 0
    assert attribution.checks["identity_error"][0] < 1e-3
    attention = answer(client, Request.build("attention", model=SMALL, questions=questions))
    # Highest of all tokens, the first one included, on most questions.
    assert attention["right_top"][16, 7] > 0.5


@pytest.mark.default_model
def test_the_default_model_answers_knowledge_questions(client: LocalClient) -> None:
    questions = QuestionSet("knowledge", limit=12)
    found = answer(client, Request.build("check-model", model=ModelSpec(DEFAULT_MODEL), questions=questions))
    assert found.scalars["label_accuracy"]["value"] >= 0.75
    assert found.scalars["go"] is True


@pytest.mark.small_model
def test_four_bits_answer_nearly_as_full_precision_does(client: LocalClient) -> None:
    questions = QuestionSet("copy-colors", limit=3)
    exact, four = (
        answer(
            client,
            Request.build(
                "readings",
                model=dataclasses.replace(SMALL, quantization=quantization),
                questions=questions,
                params={"patched": 0},
            ),
        )
        for quantization in ("none", "4bit")
    )
    assert all(value <= limit for value, limit in four.checks.values())
    found = drift(exact, four)
    # Over twenty questions the largest difference seen is 0.85 logits, the correlation 0.956.
    assert 0 < found.logits_largest < 1.5
    assert found.net_correlation > 0.9
    assert four.scalars["weight_bytes"] < 0.6 * exact.scalars["weight_bytes"]
