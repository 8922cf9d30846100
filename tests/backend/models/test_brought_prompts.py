"""What the command line says of a prompt, with models' folders as people publish them."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from backend.cli import main
from tests.backend.models.test_tokenizer import core, folder

CHAT = "{% for m in messages %}<bos>{{ m.role }}\n{{ m.content }}<eos>\n{% endfor %}<bos>assistant\n"
QUESTION = {"stem": "What does <eos> close?", "options": ["mail", "door"], "answer": 0}


def asked(path: Path, out: Path, analysis: str = "prediction", **fields: Any) -> int:
    out.mkdir(exist_ok=True)
    model = {"name": str(path), "dtype": "float32", "device": "cpu"}
    about = {} if "questions" in fields else {"question": QUESTION}
    (out / "request.json").write_text(json.dumps({"analysis": analysis, "model": model, **about, **fields}))
    return main(["run", str(out / "request.json"), "--out", str(out / "out")])


def found(out: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((out / "out" / "result.json").read_text())
    return result


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(
        tmp_path_factory.mktemp("model"),
        "qwen2",
        core(),
        eos_token="<eos>",
        bos_token="<bos>",
        chat_template=CHAT,
    )


@pytest.mark.parametrize("template", ["plain", "chat"])
def test_a_quoted_control_token_is_told_and_read_as_asked(model: Path, tmp_path: Path, template: str) -> None:
    told = {}
    for as_text in (False, True):
        prompt = {"template": template, **({"controls_as_text": True} if as_text else {})}
        assert asked(model, tmp_path / str(as_text), prompt=prompt) == 0
        told[as_text] = found(tmp_path / str(as_text))
        assert told[as_text]["controls"] == ["<eos>"]
    assert "meaning of its own" in told[False]["notes"][0]
    assert "plain text" in told[True]["notes"][0]
    of_the_format = 2 if template == "chat" else 0
    assert [told[as_text]["tokens"].count("<eos>") for as_text in (False, True)] == [
        of_the_format + 1,
        of_the_format,
    ]
    assert told[False]["request"]["prompt"].keys() == {"template", "labels", "shots", "shots_from"}


@pytest.mark.slow
def test_every_analysis_reads_it_so(model: Path, tmp_path: Path) -> None:
    prompt = {"template": "chat", "controls_as_text": True}
    for analysis in ("attribution", "attention", "patching"):
        assert asked(model, tmp_path / analysis, analysis, prompt=prompt) == 0
        assert found(tmp_path / analysis)["tokens"].count("<eos>") == 2


def test_of_several_questions_it_is_counted(model: Path, tmp_path: Path) -> None:
    several = [QUESTION, {"stem": "What is up?", "options": ["mail", "door"], "answer": 1}]
    for analysis in ("check-model", "attribution"):
        assert asked(model, tmp_path / analysis, analysis, questions=several) == 0
        (note,) = found(tmp_path / analysis)["prompt_notes"]
        assert note.startswith("1 of 2 questions: The prompt quotes control tokens of this model: '<eos>'.")


def test_an_end_token_is_left_out_and_told(tmp_path: Path) -> None:
    inner = core()
    eos = inner.token_to_id("<eos>")
    inner.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", eos)])
    question = {"stem": "What is up?", "options": ["mail", "door"], "answer": 1}
    path = folder(tmp_path / "model", "qwen2", inner, eos_token="<eos>")
    for analysis, about in (
        ("prediction", {"question": question}),
        ("check-model", {"questions": [question]}),
    ):
        assert asked(path, tmp_path / analysis, analysis, **about) == 0
    assert found(tmp_path / "prediction")["tokens"][-1] != "<eos>"
    assert "ends every text with '<eos>'" in found(tmp_path / "prediction")["notes"][0]


def test_a_vocabulary_that_lacks_a_character_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letters = "The capital of France is Paris. The capital of Italy is What color\nA raven? (B) Answer: ("
    inner = Tokenizer(
        models.WordLevel({letter: i for i, letter in enumerate(dict.fromkeys(letters))}, "[none]")
    )
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    path = folder(tmp_path / "model", "qwen2", inner)
    assert asked(path, tmp_path / "asked") == 2
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert "its vocabulary lacks" in line
    assert "Choose another model, or words without it." in line
