"""The text of a hub's or a folder's model is cut by its tokenizer.json, whatever class transformers would take."""

import json
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

from backend.cli import main
from backend.contract.errors import ModelError
from backend.contract.model import ModelSpec
from backend.models.load import prepare
from backend.models.resolve import resolve
from backend.models.tokenizer import PROBE, read_tokenizer
from tests import tiny

STEM = "In 1234567 BC, IS a Café 12 or 123?"
SPLITS = {
    "threes": r"\p{N}{1,3}|\p{L}+|[^\p{L}\p{N}]",
    "from the left": r"\p{N}+|\p{L}+|[^\p{L}\p{N}]",
}


def core(split: str = SPLITS["threes"]) -> Tokenizer:
    """Every byte, and the numbers 12 and 123; `<bos>` and `<eos>` are known."""
    vocabulary = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    for word in ("12", "123", "45", "456"):
        vocabulary[word] = len(vocabulary)
    merges = [("1", "2"), ("12", "3"), ("4", "5"), ("45", "6")]
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.add_special_tokens(["<bos>", "<eos>"])
    return inner


def lower_casing() -> Tokenizer:
    inner = core()
    inner.normalizer = normalizers.Lowercase()
    return inner


def opened_by_bos() -> Tokenizer:
    inner = core()
    bos = inner.token_to_id("<bos>")
    inner.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", bos)])
    return inner


def cut_short() -> Tokenizer:
    """As files are that were saved in the midst of a training."""
    inner = core()
    inner.enable_truncation(5)
    inner.enable_padding(length=7)
    return inner


MADE = {
    "digits in threes": core,
    "digits in a row": lambda: core(SPLITS["from the left"]),
    "lower case": lower_casing,
    "opened by a token": opened_by_bos,
    "with truncation": cut_short,
}


def folder(path: Path, family: str, inner: Tokenizer, **config: object) -> Path:
    """A model's folder as people publish it."""
    tiny.tiny_model(family).save_pretrained(path)
    inner.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return path


def own_ids(path: Path, text: str) -> list[int]:
    own = Tokenizer.from_file(str(path / "tokenizer.json"))
    own.no_truncation()
    own.no_padding()
    return list(own.encode(text).ids)


@pytest.mark.sampled
@pytest.mark.parametrize("what", MADE)
@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("qwen2", {}),
        ("qwen2", {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<eos>"}),
        ("gpt2", {}),
        ("gpt_neox", {"tokenizer_class": "GPTNeoXTokenizer"}),
        ("gemma2", {"tokenizer_class": "GemmaTokenizerFast", "eos_token": "<eos>", "bos_token": "<bos>"}),
        ("llama", {"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<bos>"}),
        ("mistral", {"tokenizer_class": "NobodysTokenizer", "bos_token": "<bos>", "add_bos_token": True}),
    ],
)
def test_the_ids_are_the_files_own(family: str, config: dict[str, object], what: str, tmp_path: Path) -> None:
    path = folder(tmp_path, family, MADE[what](), **config)
    found = read_tokenizer(resolve(ModelSpec(str(path), "float32", "none", "cpu")))
    for text in (PROBE, STEM):
        assert found(text)["input_ids"] == own_ids(path, text)
    for name in ("bos_token", "eos_token"):
        assert getattr(found, name) == config.get(name)


def test_transformers_class_would_cut_it_otherwise(tmp_path: Path) -> None:
    """What this is all for."""
    path = folder(tmp_path, "qwen2", core())
    assert AutoTokenizer.from_pretrained(path)(STEM)["input_ids"] != own_ids(path, STEM)


@pytest.mark.parametrize("what", ["digits in threes", "lower case"])
def test_the_command_line_shows_the_published_tokens(what: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "model", "qwen2", MADE[what]())
    asked = tmp_path / "request.json"
    model = {"name": str(path), "dtype": "float32", "device": "cpu"}
    question = {"stem": STEM, "options": ["yes", "no"]}
    prompt = {"template": "plain", "labels": ["1", "2"]}
    asked.write_text(
        json.dumps({"analysis": "prediction", "model": model, "question": question, "prompt": prompt})
    )
    assert main(["run", str(asked), "--out", str(tmp_path / "out")]) == 0
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    wanted = Tokenizer.from_file(str(path / "tokenizer.json")).encode(result["text"])
    assert result["tokens"] == [result["text"][start:end] for start, end in wanted.offsets]
    assert {"123", "456"} <= set(result["tokens"])


def test_the_chat_template_is_kept(tmp_path: Path) -> None:
    path = folder(tmp_path, "qwen2", core(), eos_token="<eos>", chat_template="{{ eos_token }}!")
    found = read_tokenizer(resolve(ModelSpec(str(path), "float32", "none", "cpu")))
    assert found.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False) == "<eos>!"


def test_a_token_that_stands_for_unknown_words_is_the_files(tmp_path: Path) -> None:
    words = Tokenizer(models.WordLevel(vocab={"[UNK]": 0, "A": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    path = folder(tmp_path, "qwen2", words)
    assert read_tokenizer(resolve(ModelSpec(str(path), "float32", "none", "cpu"))).unk_token_id == 0


def test_a_vocabulary_without_all_characters_is_read(tmp_path: Path) -> None:
    """Neither the file nor the class can cut the whole probe."""
    letters = Tokenizer(
        models.WordLevel(vocab={letter: index for index, letter in enumerate("The AB")}, unk_token="?")
    )
    letters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    path = folder(tmp_path, "qwen2", letters)
    assert read_tokenizer(resolve(ModelSpec(str(path), "float32", "none", "cpu")))("The A")["input_ids"]


def test_a_folder_that_contradicts_its_file_is_refused_with_both(tmp_path: Path) -> None:
    added = {"300": {"content": "year", "special": True}}
    path = folder(tmp_path, "qwen2", core(), added_tokens_decoder=added)
    own = own_ids(path, PROBE)
    with pytest.raises(
        ModelError, match=r"tokenizer\.json makes the tokens .* \(from token 4 on\).* they are"
    ) as told:
        prepare(ModelSpec(str(path), "float32", "none", "cpu"))
    assert str(own[4:12]) in str(told.value)
    assert "\n" not in str(told.value)
