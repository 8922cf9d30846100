"""Whatever is wrong with a model: one clear error, and the model from before answers again."""

import json
import os
import re
import shutil
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    BertConfig,
    PreTrainedTokenizerFast,
    ViTConfig,
)

from backend.cli import main
from backend.contract.errors import ModelError
from backend.contract.model import ModelSpec
from backend.contract.request import Request
from backend.models import hub
from backend.service.local import LocalClient
from tests import hand_wired, tiny
from tests.app.opened import notices, opened
from tests.backend.models.hub_server import hub_server
from tests.backend.models.making import write_gguf
from tests.backend.service.serving import serving

SMALL = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SINGLE = "model.safetensors"


def config(**changes: object) -> Callable[[Path], None]:
    """Another config for the same weights."""

    def write(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))

    return write


def tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Other weights for the same config."""

    def write(folder: Path) -> None:
        found = load_file(folder / SINGLE)
        change(found)
        save_file(found, folder / SINGLE, metadata={"format": "pt"})

    return write


def value(name: str, place: tuple[int, ...], number: float) -> Callable[[Path], None]:
    return tensors(lambda found: found[name].__setitem__(place, number))


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / SINGLE), folder / "pytorch_model.bin")
    (folder / SINGLE).unlink()


def own_code(folder: Path) -> None:
    """Of a type that only this code knows."""
    config(auto_map={"AutoModelForCausalLM": "modeling_evil.Evil"}, model_type="evil")(folder)
    (folder / "modeling_evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")


def encoder(folder: Path) -> None:
    AutoModelForMaskedLM.from_config(BertConfig(vocab_size=320, **SMALL)).save_pretrained(folder)


def vision(folder: Path) -> None:
    AutoModelForImageClassification.from_config(ViTConfig(image_size=32, **SMALL)).save_pretrained(folder)


def gpt2(**changes: object) -> Callable[[Path], None]:
    """Another family's model, with changes to its config."""

    def write(folder: Path) -> None:
        tiny.tiny_model("gpt2").save_pretrained(folder)
        config(**changes)(folder)

    return write


def words_only(folder: Path) -> None:
    inner = Tokenizer(models.WordLevel(vocab={"[UNK]": 0, "The": 1, "of": 2, "is": 3}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]").save_pretrained(folder)


def larger_tokenizer(folder: Path) -> None:
    inner = Tokenizer.from_str(tiny.tokenizer()._tokenizer.to_str())
    larger = PreTrainedTokenizerFast(tokenizer_object=inner)
    larger.add_tokens([f"<{number}>" for number in range(100)] + ["The"])
    larger.save_pretrained(folder)


def in_shards(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """Save in several files, then change the second."""

    def write(folder: Path) -> None:
        (folder / SINGLE).unlink()
        tiny.tiny_model("llama").save_pretrained(folder, max_shard_size="60KB")
        change(sorted(folder.glob("*.safetensors"))[1])

    return write


def cut(bytes_: int) -> Callable[[Path], None]:
    return lambda file: os.truncate(file, file.stat().st_size - bytes_)


def first_again(shard: Path) -> None:
    shutil.copy(shard.with_name("model-00001-of-00006.safetensors"), shard)


BAD_FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "its own code": (own_code, r"its own code \(modeling_evil\.py, .* never run here, .* of type 'evil'"),
    "a pickle": (pickled, r"only pytorch_model\.bin, a pickle, which can run code"),
    "an encoder": (encoder, "type 'bert' .BertForMaskedLM"),
    "a vision model": (vision, "type 'vit' .ViTForImageClassification"),
    "quantized already": (config(quantization_config={"quant_method": "gptq"}), "quantized already"),
    "labels not in the tokenizer": (words_only, "does not know the label 'A'"),
    "a larger tokenizer": (larger_tokenizer, "has the token 356, and the model knows 320"),
    "no tokenizer": (
        lambda folder: deque(map(Path.unlink, folder.glob("tokenizer*"))),
        "its tokenizer cannot be read",
    ),
    "smaller by the config": (config(hidden_size=32), r"lm_head.weight: \[320, 48\] in the file, \[320, 32\] by"),
    "more layers": (config(num_hidden_layers=4), r"missing, the first model\.layers\.3"),
    "fewer layers": (config(num_hidden_layers=2), r"not used by .* first model\.layers\.2\.input_layernorm\.weight"),
    "no biases": (config(mlp_bias=False), r"not used by .* first model\.layers\.0\.mlp\.down_proj\.bias"),
    "another kv head": (config(num_key_value_heads=4), r"k_proj\.bias: \[24\] in the file, \[48\] by the config"),
    "no whole heads": (config(num_attention_heads=5, head_dim=None), "its config cannot be read .* multiple of"),
    "a text for a number": (config(num_attention_heads="four"), "expected int, got str"),
    "no heads": (config(num_attention_heads=0, head_dim=None), "its config cannot be read"),
    "no heads, which divide": (gpt2(n_head=0), "cannot be loaded.*ZeroDivisionError"),
    "layers below 0": (gpt2(n_layer=-1), r"gives layers = -1|not used by .* first transformer\.h\.0"),
    "an unknown type": (config(model_type="nope", architectures=None), "model type `nope`"),
    "NaN": (value("model.layers.1.mlp.up_proj.weight", (0, 0), float("nan")), r"layers\.1\.mlp\.up_proj\.weight .* N"),
    "infinity": (value("model.layers.2.mlp.up_proj.bias", (0,), float("inf")), r"layers\.2\.mlp\.up_proj\.bias of"),
    "NaN where nothing reads": (value("model.embed_tokens.weight", (319, 0), float("nan")), r"embed_tokens\.weight of"),
    "a missing weight": (tensors(lambda found: found.pop("model.norm.weight")), r"missing, the first model\.norm"),
    "another weight": (
        tensors(lambda found: found.__setitem__("model.layers.0.mlp.more.weight", torch.ones(3))),
        r"1 weights are not used by the model of its config, the first model\.layers\.0\.mlp\.more\.weight",
    ),
    "a cut file": (lambda folder: cut(10)(folder / SINGLE), "cut short or damaged"),
    "a pointer to a file": (
        lambda folder: (folder / SINGLE).write_text("version https://git-lfs.github.com/spec/v1\n"),
        "is not safetensors",
    ),
    "a missing shard": (in_shards(Path.unlink), r"model-00002-of-00006\.safetensors' is missing"),
    "a cut shard": (in_shards(cut(10)), r"model-00002-of-00006\.safetensors' has \d+ bytes and should have"),
    "a wrong shard": (in_shards(first_again), "missing"),
}  # fmt: skip


# What no header tells: it takes the place of the model before it, which is read again.
ONLY_ITS_NUMBERS_TELL = ("NaN", "infinity", "NaN where nothing reads")
ONLY_ITS_PROMPT_TELLS = ("labels not in the tokenizer", "a larger tokenizer")


def cut_gguf(path: Path) -> Path:
    write_gguf(path)
    cut(5000)(path)
    return path


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "an unknown architecture": (lambda path: write_gguf(path, "wavtokenizer-dec"), "'wavtokenizer-dec', which is not"),
    "an encoder": (lambda path: write_gguf(path, "bert"), "'bert', which is not read from GGUF"),
    "cut short": (cut_gguf, "not a whole GGUF file"),
    "no GGUF": (lambda path: path.write_text("no model " * 100), "not a whole GGUF file"),
}  # fmt: skip


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama's folder; not to be changed."""
    folder = tmp_path_factory.mktemp("good")
    tiny.tiny_model("llama").save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> LocalClient:
    """One for all tests, and with it the good model that it holds; each request is a new one."""
    return serving(tmp_path_factory.mktemp("store"))


NUMBERS = count()


def asked(client: LocalClient, name: Path | str, **held: Any) -> str:
    """What comes of a request: an error's text, or nothing."""
    model = replace(ModelSpec(str(name), dtype="float32", device="cpu"), **held)
    question = replace(hand_wired.question(0), stem=f"pick {next(NUMBERS)}")
    request = Request.build("attribution", model=model, question=question, prompt=hand_wired.SPEC)
    try:
        status = client.wait(client.submit(request), 600)
    except ModelError as error:
        return str(error)
    assert status.finished
    return status.error


def refused(
    client: LocalClient, good: Path, bad: Path | str, message: str, *, resident: bool = True, **held: Any
) -> None:
    """`resident`: the model before it was never let go."""
    assert asked(client, good) == ""
    before = client.loaded()
    told = asked(client, bad, **held)
    assert re.search(message, told), told
    assert "Something went wrong inside" not in told
    assert (client.loaded() == before) == resident
    assert asked(client, good) == ""


@pytest.mark.sampled
@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, marks=pytest.mark.slow)
        if what in (*ONLY_ITS_NUMBERS_TELL[1:], *ONLY_ITS_PROMPT_TELLS[1:])
        else what
        for what in BAD_FOLDERS
    ],
)
def test_a_bad_folder_is_told_and_the_model_before_it_answers(
    client: LocalClient, good: Path, tmp_path: Path, what: str
) -> None:
    spoil, message = BAD_FOLDERS[what]
    bad = tmp_path / "bad"
    shutil.copytree(good, bad)
    spoil(bad)
    refused(client, good, bad, message, resident=what not in (*ONLY_ITS_NUMBERS_TELL, *ONLY_ITS_PROMPT_TELLS))
    assert not (bad / "ran").exists()


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_bad_gguf_is_told_and_the_model_before_it_answers(
    client: LocalClient, good: Path, tmp_path: Path, what: str
) -> None:
    spoil, message = BAD_FILES[what]
    spoil(tmp_path / "bad.gguf")
    refused(client, good, tmp_path / "bad.gguf", message)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("repo", "gated", "message"),
    [
        ("org/nothing", False, "The hub has no model 'org/nothing'"),
        ("org/model", True, "org/model is gated: accept its terms on the hub"),
        ("org/code", False, "brings its own code .* never run"),
        ("org/pickle", False, "org/pickle has only pickled weights, which can run code"),
        ("org/encoder", False, "type 'bert' .BertForMaskedLM"),
    ],
)
def test_a_bad_hub_id_is_told_and_the_model_before_it_answers(
    client: LocalClient,
    good: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    repo: str,
    gated: bool,
    message: str,
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setattr(hub, "_unreached", set())
    for name, spoil in (("model", None), ("code", own_code), ("pickle", pickled), ("encoder", encoder)):
        shutil.copytree(good, tmp_path / "repositories" / "org" / name)
        if spoil is not None:
            spoil(tmp_path / "repositories" / "org" / name)
    with hub_server(tmp_path / "repositories", gated=gated) as (endpoint, asked_for):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        refused(client, good, repo, message)
    assert not any(path.endswith((".safetensors", ".bin", ".py")) for path in asked_for)


@pytest.mark.parametrize("what", ["a pickle", "smaller by the config", "a cut shard"])
def test_the_command_line_tells_it_in_one_line(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    spoil, message = BAD_FOLDERS[what]
    shutil.copytree(good, tmp_path / "bad")
    spoil(tmp_path / "bad")
    request = tmp_path / "request.json"
    model = {"name": str(tmp_path / "bad"), "dtype": "float32", "device": "cpu"}
    request.write_text(json.dumps({"analysis": "self-check", "model": model}))
    assert main(["run", str(request), "--out", str(tmp_path / "out")]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("letterheads: ")
    assert re.search(message, last)


@pytest.mark.slow
def test_an_expert_that_nothing_was_routed_to_counts(client: LocalClient, good: Path, tmp_path: Path) -> None:
    model = tiny.tiny_model("mixtral")
    for layer in model.model.layers:
        layer.mlp.experts.down_proj[:, 0, 0] = float("nan")
    model.save_pretrained(tmp_path / "bad")
    tiny.tokenizer().save_pretrained(tmp_path / "bad")
    told = r"layers\.0\.mlp\.experts\.down_proj of .* NaN"
    refused(client, good, tmp_path / "bad", told, resident=False)


def test_without_bitsandbytes_the_model_before_it_answers(
    client: LocalClient, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # importing it then fails
    refused(client, good, good, "needs the package bitsandbytes", quantization="4bit")


def test_what_its_parts_do_not_allow_is_told_and_the_model_before_it_answers(
    client: LocalClient, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No family lists it, and by structure it is none that can be looked into."""
    monkeypatch.setitem(tiny.FAMILY_CONFIGS, "bloom", {"hidden_size": 48, "n_layer": 2, "n_head": 4})
    tiny.tiny_model("bloom").save_pretrained(tmp_path / "bad")
    tiny.tokenizer().save_pretrained(tmp_path / "bad")
    refused(client, good, tmp_path / "bad", "Supported: llama")


def test_too_little_memory_is_told_and_the_model_before_it_answers(
    client: LocalClient, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(client, good) == ""
    monkeypatch.setattr("backend.models.memory_check.memory_by_device", lambda device: {device: 10**6})
    refused(client, good, good, "needs 0.6 GB of memory, and 0.0 GB are free for it", dtype="bfloat16")


@pytest.mark.parametrize(
    "what", ["a pickle", "smaller by the config", "no heads, which divide", "layers below 0"]
)
def test_the_page_tells_it_in_a_box(client: LocalClient, good: Path, tmp_path: Path, what: str) -> None:
    """Of one the config tells at once, of the other its weights when they are loaded."""
    spoil, message = BAD_FOLDERS[what]
    shutil.copytree(good, tmp_path / "bad")
    spoil(tmp_path / "bad")
    at = opened("model", client, model=str(tmp_path / "bad"), dtype="float32", device="cpu")
    if "jobs" in at.session_state:
        for _, job in at.session_state["jobs"].values():
            client.wait(job, 30)
        at.run()
    assert not at.exception
    told = notices(at, "error")
    assert told
    assert all(re.search(message, each) for each in told)
