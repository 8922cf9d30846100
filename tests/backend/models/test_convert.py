"""Converted weights are those of transformers' own GGUF loading; what is not understood is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.contract.errors import Cancelled, ModelError
from backend.contract.progress import silent
from backend.models import convert as module
from backend.models.convert import convert
from backend.models.silent_transformers import silent_transformers
from tests.backend.models.making import TOKENS, write_gguf

TEXT = "In the line: (A) 12 inns <|im_start|>é"


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_equals_transformers_tensor_for_tensor(tmp_path: Path, architecture: str, tied: bool) -> None:
    gguf = write_gguf(tmp_path / "tiny.gguf", architecture, tied)
    folder = tmp_path / "folder"
    folder.mkdir()
    convert(gguf, folder, "tiny", silent)
    with silent_transformers():
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="tiny.gguf", dtype=torch.float32)
        ours = AutoModelForCausalLM.from_pretrained(folder)
        their_tokenizer = AutoTokenizer.from_pretrained(tmp_path, gguf_file="tiny.gguf")
        our_tokenizer = AutoTokenizer.from_pretrained(folder)
    expected, found = theirs.state_dict(), ours.state_dict()
    assert expected.keys() == found.keys()
    for name in expected:
        assert found[name].dtype == torch.float32
        assert torch.equal(expected[name], found[name]), name
    assert (ours.lm_head.weight is ours.model.embed_tokens.weight) == tied
    assert our_tokenizer(TEXT).input_ids == their_tokenizer(TEXT).input_ids


def test_vocabulary_is_skipped_and_all_else_read_as_the_library_does(gguf: Path) -> None:
    ours, theirs = module._Table(gguf), GGUFReader(gguf)
    assert [tensor.name for tensor in ours.tensors] == [tensor.name for tensor in theirs.tensors]
    for one, other in zip(ours.tensors, theirs.tensors, strict=True):
        assert np.array_equal(one.data, other.data)
    assert ours.fields.keys() == theirs.fields.keys()


def test_tokenizer_gives_offsets_adds_no_bos_and_knows_its_limits(converted: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted)
    encoded = tokenizer("in A", return_offsets_mapping=True)
    assert tokenizer.is_fast
    assert encoded.offset_mapping[0] == (0, 2)
    assert encoded.input_ids[0] == TOKENS.index("in")
    assert tokenizer.model_max_length == 128
    assert tokenizer.bos_token == tokenizer.eos_token == "<|end|>"
    assert tokenizer.apply_chat_template([{"content": "hi"}], tokenize=False) == "<|im_start|>hi"


def test_config_is_plain(converted: Path) -> None:
    config = json.loads((converted / "config.json").read_text())
    assert config["architectures"] == ["Qwen2ForCausalLM"]
    assert config["dtype"] == "float32"
    assert "quantization_config" not in config
    assert (converted / "generation_config.json").is_file()


def test_shards_are_bounded_and_complete(gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD_BYTES", 70_000)
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 1000)  # several pieces a matrix
    convert(gguf, tmp_path, "tiny", silent)
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 3
    for shard in shards:
        tensors = load_file(shard)
        assert len(tensors) == 1 or sum(tensor.nbytes for tensor in tensors.values()) <= 70_000
    with silent_transformers():
        whole = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
        theirs = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    assert all(torch.equal(tensor, whole[name]) for name, tensor in theirs.state_dict().items())


def test_tensor_that_transformers_would_drop_is_refused(tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "tiny.gguf", "llama", extra="rope_freqs.weight")
    with pytest.raises(ModelError, match=r"holds 'rope_freqs\.weight'"):
        convert(gguf, tmp_path, "tiny", silent)


@pytest.mark.parametrize("keep", [0, 3, 100, 4000, -5000])
def test_truncated_file_is_refused(gguf: Path, tmp_path: Path, keep: int) -> None:
    (tmp_path / "cut.gguf").write_bytes(gguf.read_bytes()[:keep])
    with pytest.raises(ModelError, match="not a whole GGUF file"):
        convert(tmp_path / "cut.gguf", tmp_path, "tiny", silent)


def test_other_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("This is no model at all, only a text. " * 20)
    with pytest.raises(ModelError, match="not a whole GGUF file"):
        convert(tmp_path / "text.gguf", tmp_path, "tiny", silent)


def test_unknown_architecture_is_refused_by_name(tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "tiny.gguf", "wavtokenizer-dec")
    with pytest.raises(ModelError, match=r"architecture 'wavtokenizer-dec'.* llama, "):
        convert(gguf, tmp_path, "tiny", silent)


def test_cancel_stops_it(gguf: Path, tmp_path: Path) -> None:
    def stop(message: str, done: int = 0, total: int = 0) -> None:
        if message.startswith("Unpacking"):
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        convert(gguf, tmp_path, "tiny", stop)
