"""Folders made to do harm, or damaged as nobody expects: each is told in one line, and the host goes on."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.contract.errors import LetterheadsError
from backend.contract.request import Request
from backend.service.local import LocalClient
from tests.backend.models.test_tokenizer import core, folder
from tests.backend.service.serving import serving

CHAT = "{% for m in messages %}<bos>{{ m.content }}<eos>{% endfor %}"
POST = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<x>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
}
Spoil = Callable[[Path], object]


def config(**changes: object) -> Spoil:
    return _changed("config.json", lambda found: found.update(changes))


def tokenizer(change: Callable[[dict[str, Any]], object]) -> Spoil:
    return _changed("tokenizer.json", change)


def template(text: object) -> Spoil:
    return _changed("tokenizer_config.json", lambda found: found.update(chat_template=text))


def _changed(name: str, change: Callable[[dict[str, Any]], object]) -> Spoil:
    def write(path: Path) -> None:
        found = json.loads((path / name).read_text())
        change(found)
        (path / name).write_text(json.dumps(found))

    return write


def text(name: str, content: str) -> Spoil:
    return lambda path: (path / name).write_text(content)


def replacing(by: str) -> Spoil:
    step = {"type": "Replace", "pattern": {"Regex": "."}, "content": by}
    return tokenizer(lambda found: found.update(normalizer=step))


HOSTILE: dict[str, tuple[Spoil, str]] = {
    "no tokens of anything": (replacing(""), "makes no tokens of the text. Choose another model"),
    "far more tokens than letters": (
        replacing("x" * 2000),
        "makes 110,000 tokens of a text of 55 characters",
    ),
    "a library in Rust that panics": (
        tokenizer(lambda found: found.update(post_processor={**POST, "special_tokens": {}})),
        "cannot cut the text into tokens: 'no entry found for key'. Choose another model",
    ),
    "a token that no model has": (
        tokenizer(
            lambda found: found.update(
                post_processor={
                    **POST,
                    "special_tokens": {"<x>": {"id": "<x>", "ids": [10**9], "tokens": ["<x>"]}},
                }
            )
        ),
        "has the token 1000000000, and the model knows 320",
    ),
    "no vocabulary": (
        tokenizer(lambda found: found["model"].update(vocab={}, merges=[])),
        r"its tokenizer has no vocabulary \(tokenizer\.json\)",
    ),
    "a tokenizer of no kind": (
        tokenizer(lambda found: found["model"].update(type="Evil")),
        "its tokenizer cannot be read",
    ),
    "a list for a tokenizer's config": (text("tokenizer_config.json", "[]"), "its tokenizer cannot be read"),
    "a template that is a number": (template(5), "chat template changes the question's text"),
    "a template with control characters": (
        template("{{ raise_exception('\\x1b[31m\nred') }}"),
        r"it ends in 'TemplateError: \\x1b\[31m red'",
    ),
    "a template without end": (
        template("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}"),
        "RecursionError: maximum recursion depth exceeded",
    ),
    "a config without end": (text("config.json", "[" * 200_000), "'.*config.json' cannot be read"),
    "more layers than tensors": (
        config(num_hidden_layers=10_000, layer_types=None),
        "gives 10,000 layers, and its weights are 39 tensors",
    ),
    "a vocabulary of a million millions": (config(vocab_size=10**12), r"\[1000000000000, 48\] by the config"),
    "an activation that nobody knows": (
        config(hidden_act="evil"),
        r"the model of its config and weights cannot be read \(.KeyError: 'evil'",
    ),
    "few positions": (config(max_position_embeddings=3), "takes at most 3 here"),
    "a type that is a path": (
        config(model_type="../../etc"),
        r"its config cannot be read .*model type `\.\./\.\./etc`",
    ),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good")
    return folder(path, "qwen2", core(), eos_token="<eos>", bos_token="<bos>", chat_template=CHAT)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> LocalClient:
    return serving(tmp_path_factory.mktemp("store"))


def request(path: Path, template: str = "chat") -> dict[str, Any]:
    return {
        "analysis": "prediction",
        "model": {"name": str(path), "dtype": "float32", "device": "cpu"},
        "question": {"stem": "What is up?", "options": ["a", "b"]},
        "prompt": {"template": template},
    }


@pytest.mark.parametrize("what", HOSTILE)
def test_it_is_told_in_one_line(client: LocalClient, good: Path, tmp_path: Path, what: str) -> None:
    spoil, message = HOSTILE[what]
    shutil.copytree(good, tmp_path / "bad")
    spoil(tmp_path / "bad")
    asked = Request.from_json(request(tmp_path / "bad", "chat" if "template" in what else "plain"))
    try:
        status = client.wait(client.submit(asked), 120)
    except LetterheadsError as error:
        told = str(error)
    else:
        assert status.finished
        told = status.error
    assert re.search(message, told), told
    assert "\n" not in told
    assert "Something went wrong inside" not in told


@pytest.mark.slow
@pytest.mark.parametrize("what", ["a library in Rust that panics", "a config without end", "no vocabulary"])
def test_the_command_line_ends_with_status_2(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    spoil, message = HOSTILE[what]
    shutil.copytree(good, tmp_path / "bad")
    spoil(tmp_path / "bad")
    (tmp_path / "request.json").write_text(json.dumps(request(tmp_path / "bad", "plain")))
    assert main(["run", str(tmp_path / "request.json"), "--out", str(tmp_path / "out")]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("letterheads: "))
    assert re.search(message, line)
