"""Question files on the command line."""

import json
from pathlib import Path

import pytest

from backend.cli import main
from backend.cli_files import with_questions
from backend.contract.errors import LetterheadsError, QuestionError, RequestError
from backend.contract.request import Request

LINE = "What color is a raven?,red,black,white,green,B\n"
RAVEN = {
    "subject": "general knowledge",
    "stem": "What color is a raven?",
    "options": ["red", "black", "white", "green"],
    "answer": 1,
}


def file(folder: Path, content: str, name: str = "birds.csv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_read_prints_questions_and_tells_what_was_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file(tmp_path, LINE * 5 + "Why?,a,a,b,c,A\n")
    assert main(["read", str(path)]) == 0
    told = capsys.readouterr()
    assert [json.loads(line) for line in told.out.splitlines()] == [RAVEN] * 5
    first, last = told.err.splitlines()
    assert first.startswith("Line 6: left out: Options 1 and 2 are the same, 'a'.")
    assert last == "5 questions, read as mmlu-csv; left out: 1 equal options (Line 6)."


def test_what_was_printed_is_read_again_to_the_same_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["read", str(file(tmp_path, LINE))])
    printed = capsys.readouterr().out
    main(["read", str(file(tmp_path, printed, "birds.jsonl"))])
    assert capsys.readouterr().out == printed


def test_read_takes_what_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = file(tmp_path, "F;x;y;R\nWarum?;a;b;1\n")
    mapped = ["--header", "yes", "--stem", "F", "--options", "x", "y", "--answer", "R"]
    assert main(["read", str(path), *mapped]) == 2
    assert "can be read in 2 ways" in capsys.readouterr().err
    assert main(["read", str(path), *mapped, "--answers", "from-1"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"] == 0


def test_a_mistake_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, message in (
        (tmp_path / "none.csv", "No such file"),
        (file(tmp_path, "a,b\n"), "Map the columns"),
    ):
        assert main(["read", str(path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_a_request_may_name_a_file_on_the_command_line_only(tmp_path: Path) -> None:
    path = file(
        tmp_path,
        "".join(LINE.replace("raven", f"raven {n}").replace("B\n", "ABCD"[n % 4] + "\n") for n in range(9)),
    )
    asked = {"analysis": "check-model", "questions": {"file": str(path), "limit": 4}}
    with pytest.raises(RequestError, match="questions has no field 'file'"):
        Request.from_json(asked)
    request = Request.from_json(with_questions(asked))
    assert isinstance(request.questions, tuple)
    assert sorted(question.answer for question in request.questions if question.answer is not None) == [
        0,
        1,
        2,
        3,
    ]
    assert with_questions(asked) == with_questions(asked)
    whole = with_questions({**asked, "questions": {"file": str(path)}})
    assert isinstance(whole, dict)
    assert len(whole["questions"]) == 9


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ({"file": 3}, "questions.file must be a text"),
        ({"file": "none.csv"}, "cannot be read: No such file"),
        ({"file": "none.csv", "bank": "x"}, "questions has no field 'bank'"),
        ({"file": "none.csv", "limit": 0}, "questions.limit must be at least 1"),
        ({"file": "none.csv", "answers": "x"}, "There is no answers 'x'"),
    ],
)
def test_mistakes_in_a_request_that_names_a_file(questions: dict[str, object], message: str) -> None:
    with pytest.raises(LetterheadsError, match=message):
        with_questions({"analysis": "check-model", "questions": questions})


def test_a_request_without_a_file_is_left_alone() -> None:
    requests: tuple[object, ...] = (
        [],
        None,
        {"questions": [RAVEN]},
        {"questions": {"bank": "x"}},
        {"question": RAVEN},
    )
    for request in requests:
        assert with_questions(request) is request


def test_a_file_with_unclear_answers_is_refused(tmp_path: Path) -> None:
    path = file(tmp_path, "question,A,B,answer\nWhy?,a,b,1\n")
    with pytest.raises(QuestionError, match="Say which it is"):
        with_questions({"questions": {"file": str(path)}})
