import contextlib
import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.contract.errors import QuestionError
from backend.contract.question import Question
from backend.questions.files import MAX_BYTES, MAX_QUESTIONS, parse_csv, parse_jsonl

RAVEN = Question("What color is a raven?", ("red", "black", "white", "green"), 1)
LINE = b"What color is a raven?,red,black,white,green,B\n"


def test_csv_is_question_four_options_letter() -> None:
    assert parse_csv(LINE + b"\r\n" + LINE.replace(b"B\n", b" b \r\n")) == (RAVEN, RAVEN)


def test_csv_may_have_a_subject_at_the_end() -> None:
    (question,) = parse_csv(LINE.strip() + b",colors\n")
    assert question.subject == "colors"


def test_csv_header_gives_order_and_number_of_options() -> None:
    data = b"Subject,Answer,Question,A,B,C\nmath,C,What is 1+1?,0,1,2\n"
    assert parse_csv(data) == (Question("What is 1+1?", ("0", "1", "2"), 2, "math"),)


def test_csv_header_of_the_usual_columns_is_not_a_question() -> None:
    assert parse_csv(b"question,A,B,C,D,answer\n" + LINE) == (RAVEN,)


def test_csv_quoted_text_may_hold_commas_quotes_and_lines() -> None:
    (question,) = parse_csv(b'"One, two\nand ""three""?",a,b,c,d,A\n')
    assert question.stem == 'One, two\nand "three"?'


def test_jsonl_answer_is_index_letter_or_null() -> None:
    lines = [{"stem": "Who?", "options": ["a", "b"], "answer": answer} for answer in (1, "B", "b", None)]
    questions = parse_jsonl("\n\n".join(map(json.dumps, lines)).encode())
    assert [question.answer for question in questions] == [1, 1, 1, None]


def test_jsonl_text_may_hold_a_line_separator() -> None:
    (question,) = parse_jsonl('{"stem": "a\u2028b?", "options": ["a", "b"]}\r\n'.encode())
    assert question.stem == "a\u2028b?"


@pytest.mark.parametrize("parse", [parse_csv, parse_jsonl])
def test_a_byte_order_mark_is_no_text(parse: object) -> None:
    data = LINE if parse is parse_csv else json.dumps(RAVEN.to_json()).encode()
    assert parse(b"\xef\xbb\xbf" + data) == (RAVEN,)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            LINE * 16 + b"Why?,a,b,c,d,E\n",
            r"^Line 17: The right answer must be one of the letters A to D, not 'E'",
        ),
        (LINE + b"Why?,a,b,c,A\n", r"^Line 2: 5 columns instead of 6"),
        (LINE + b'"Why\n?",a,b,c,d,A\nWhy?,a,a,c,d,A\n', r"^Line 4: Options 1 and 2 are the same"),
        (
            b"Why?,,b,c,d,A\nWhy?,a,b,c,d,\n" + LINE,
            r"^Line 1: The option 1 is empty.* 1 other question has mistakes",
        ),
        (b"W,a,b,c,d,X\n" * 3, r"^Line 1: .* 2 other questions have mistakes"),
        (b"one,two\n", r"^Line 1: 2 columns\. A line is"),
        (LINE + b'"open,a,b,c,d,A\n' + LINE, r"^Line 2: this is not CSV"),
        (LINE + b"Wh\xff?,a,b,c,d,A\n", r"^Line 2: the byte 0xFF is not UTF-8"),
        (b"question,answer,A\nWhy?,A,a\n", r"^Line 2: A question has 2 to 10 options"),
        (b"", "has no questions"),
        (b"\n , \n", "has no questions"),
        (b"x" * (MAX_BYTES + 1), r"is 5,242,881 bytes; at most 5,242,880"),
        (LINE * (MAX_QUESTIONS + 1), r"more than 5,000 questions"),
        (b"x" * 200_000, r"^Line 1: this is not CSV \(field larger"),
    ],
)
def test_csv_mistakes_are_told_by_line(data: bytes, message: str) -> None:
    with pytest.raises(QuestionError, match=message):
        parse_csv(data)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ("[1]", "A question is an object"),
        ('{"stem": "Why?", "options": ["a", "b"], "answer": "K"}', "letters A to J, not 'K'"),
        ('{"stem": "Why?", "options": ["a", "b"], "answer": "C"}', "right answer is option 2 counted from 0"),
        ('{"stem": "Why?", "options": ["a", "b"], "answer": true}', "answer must be"),
        ('{"stem": "Why?", "options": ["a", "b"], "answer": NaN}', "answer must be"),
        ('{"stem": "Why?", "options": ["a", "\\ud800"]}', r"control character U\+D800"),
        ('{"stem": "Why?", "options": ["a", "b"], "right": 1}', "no field 'right'"),
        ('{"stem": "Why?", "options": "ab"}', "options must be a list"),
    ],
)
def test_jsonl_mistakes_are_told_by_line(line: str, message: str) -> None:
    good = json.dumps(RAVEN.to_json())
    with pytest.raises(QuestionError, match=f"^Line 3: .*{message}"):
        parse_jsonl(f"{good}\n\n{line}\n{good}".encode())


def test_5000_questions_are_read() -> None:
    assert len(parse_csv(LINE * MAX_QUESTIONS)) == MAX_QUESTIONS


text = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20).filter(str.strip)
questions = st.lists(
    st.builds(
        Question,
        stem=text,
        options=st.lists(text, min_size=4, max_size=4, unique_by=str.strip).map(tuple),
        answer=st.integers(0, 3),
        subject=text,
    ),
    min_size=1,
    max_size=5,
).map(tuple)


@given(questions)
def test_csv_written_with_a_header_is_read_back(written: tuple[Question, ...]) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["question", "A", "B", "C", "D", "answer", "subject"])
    for question in written:
        assert question.answer is not None
        writer.writerow([question.stem, *question.options, "ABCD"[question.answer], question.subject])
    assert parse_csv(file.getvalue().encode()) == written


@given(questions, st.booleans())
def test_jsonl_is_read_back(written: tuple[Question, ...], ascii_only: bool) -> None:
    lines = [json.dumps(question.to_json(), ensure_ascii=ascii_only) for question in written]
    assert parse_jsonl("\n".join(lines).encode()) == written


fragments = st.lists(
    st.sampled_from(
        [
            LINE,
            b"question,A,B,answer\n",
            b'"',
            b",",
            b"\n",
            b"\r",
            b"\0",
            b"\xff",
            b'{"stem": ',
            b"[",
            b"1e999",
        ]
    )
    | st.binary(max_size=8)
).map(b"".join)


@given(fragments)
def test_any_bytes_are_questions_or_a_question_error(data: bytes) -> None:
    for parse in (parse_csv, parse_jsonl):
        with contextlib.suppress(QuestionError):
            assert parse(data)
