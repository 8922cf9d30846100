import contextlib
import csv
import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.contract.errors import QuestionError
from backend.contract.files import Columns, Reading, summary
from backend.contract.question import Question
from backend.questions.files import MAX_BYTES, MAX_QUESTIONS, preview, read_file

RAVEN = Question("What color is a raven?", ("red", "black", "white", "green"), 1)
Questions = tuple[Question, ...]


def parse_csv(data: bytes) -> Questions:
    return read_file("birds.csv", data).questions


def parse_jsonl(data: bytes) -> Questions:
    return read_file("birds.jsonl", data).questions


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
    lines: list[dict[str, object]] = [
        {"stem": "Who?", "options": ["a", "b"], "answer": answer} for answer in (1, "B", "b", None)
    ]
    questions = parse_jsonl("\n\n".join(map(json.dumps, lines)).encode())
    assert [question.answer for question in questions] == [1, 1, 1, None]


def test_jsonl_text_may_hold_a_line_separator() -> None:
    (question,) = parse_jsonl('{"stem": "a\u2028b?", "options": ["a", "b"]}\r\n'.encode())
    assert question.stem == "a\u2028b?"


@pytest.mark.parametrize("parse", [parse_csv, parse_jsonl])
def test_a_byte_order_mark_is_no_text_and_tells_the_encoding(parse: Callable[[bytes], Questions]) -> None:
    data = LINE if parse is parse_csv else json.dumps(RAVEN.to_json()).encode()
    assert parse(b"\xef\xbb\xbf" + data) == (RAVEN,)
    for encoding in ("utf-16", "utf-32"):
        assert parse(data.decode().encode(encoding)) == (RAVEN,)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            LINE + b"Why?,a,b,c,d,E\n",
            r"^Line 2: The answer 'E' is none of the 4 options .* 1 of 2 rows",
        ),
        (LINE + b"Why?,a,b,c,A\n", r"^Line 2: 5 columns instead of 6"),
        (LINE + b'"Why\n?",a,b,c,d,A\nWhy?,a,a,c,d,A\n', r"^Line 4: Options 1 and 2 are the same"),
        (
            LINE + b"Why?,,b,c,d,A\nWhy?,a,b,c,d,\n",
            r"^Line 2: Option 1 is empty.* 2 of 3 rows .* 1 empty text \(Line 2\); 1 no answer \(Line 3\)",
        ),
        (b"W,a,b,c,d,X\n" * 3, r"^The first line names no columns .* 'W', 'a'"),
        (b"one,two\n", r"It has 2 cells: 'one', 'two'\. Map the columns by hand"),
        (LINE + b'"open,a,b,c,d,A\n' + LINE, r"^Line 2: this is not CSV"),
        (LINE + b"Wh\xff?,a,b,c,d,A\n", r"^Line 2: the byte 0xFF is not UTF-8"),
        (b"question,answer,A\nWhy?,A,a\n", r"The columns of options are 'A'; they must begin"),
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
        ('{"stem": "Why?", "options": ["a", "b"], "answer": "K"}', "answer 'K' is none of the 2 options"),
        ('{"stem": "Why?", "options": ["a", "b"], "answer": "C"}', "answer 'C' is none of the 2 options"),
        ('{"stem": "Why?", "options": ["a", "b"], "answer": true}', "answer True is none of"),
        ('{"stem": "Why?", "options": ["a", "b"], "answer": NaN}', "NaN is not JSON"),
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


@settings(deadline=None)  # the first call imports pyarrow
@given(fragments, st.sampled_from([".csv", ".tsv", ".json", ".jsonl", ".parquet"]))
def test_any_bytes_are_questions_or_a_question_error(data: bytes, suffix: str) -> None:
    with contextlib.suppress(QuestionError):
        assert read_file("x" + suffix, data).questions


def wrong_key(data: str, message: str) -> None:
    """A file whose key would be wrong if it were read is refused."""
    with pytest.raises(QuestionError, match=message):
        read_file("x.csv", data.encode())


def test_columns_of_options_with_a_gap_or_a_wrong_beginning_are_refused() -> None:
    wrong_key("question,A,B,D,answer\nWhy?,a,b,d,C\n", "'A', 'B', 'D'; they must begin with the first")
    wrong_key("question,B,C,D,answer\nWhy?,b,c,d,C\n", "'B', 'C', 'D'; they must begin with the first")
    wrong_key("question,option1,option3,answer\nWhy?,a,c,1\n", "without a gap")
    wrong_key("question,option2,option3,answer\nWhy?,a,c,3\n", "must begin with the first")


def test_a_name_that_two_columns_have_is_refused() -> None:
    wrong_key("question,A,B,B,C,answer\nWhy?,a,b,x,c,C\n", "Two columns have the name 'B'")
    wrong_key("question,A,B,b,answer\nWhy?,a,b,x,B\n", "Two columns have the name 'b'")
    with pytest.raises(QuestionError, match="field 'answer' is named twice"):
        parse_jsonl(b'{"stem": "Why?", "options": ["a", "b"], "answer": 0, "answer": 1}')
    with pytest.raises(QuestionError, match="field 'answer' is named twice"):
        read_file("x.json", b'[{"stem": "Why?", "options": ["a", "b"], "answer": 0, "answer": 1}]')


def test_two_series_of_options_two_stems_or_two_answers_are_asked_for() -> None:
    wrong_key("question,A,B,option1,option2,answer\nWhy?,a,b,c,d,A\n", "Two series of columns")
    wrong_key("question,stem,A,B,answer\nWhy?,Who?,a,b,A\n", "Several columns could be the question")
    wrong_key("question,A,B,answer,correct\nWhy?,a,b,A,B\n", "Several columns could be the answer")


@pytest.mark.parametrize(
    "header", ["prompt,o1,o2,o3,o4,key", "id,question,A,B,C,D", "Frage,w,x,y,z,A1", "question,A,B,C,D,E"]
)
def test_a_header_that_is_not_known_is_no_question(header: str) -> None:
    rows = "Which?,red,black,white,green,B\n" * 5
    wrong_key(f"{header}\n{rows}", "by hand")


def test_options_by_number_are_read_where_the_answers_tell_how_they_are_counted() -> None:
    header = b"question,option1,option2,option3,option4,answer\n"
    for answers, places in (
        ("1 4", [0, 3]),
        ("0 2", [0, 2]),
        ("D A", [3, 0]),
        ("d a", [3, 0]),
        ("4.0 1.0", None),
    ):
        rows = "".join(f"Why?,a,b,c,d,{answer}\n" for answer in answers.split())
        if places is None:
            wrong_key((header + rows.encode()).decode(), "are no letter, number or text")
        else:
            assert [q.answer for q in parse_csv(header + rows.encode())] == places


def test_numbers_that_may_be_counted_from_0_or_from_1_are_asked_for() -> None:
    data = b"question,option1,option2,option3,option4,answer\nWhy?,a,b,c,d,2\n"
    with pytest.raises(QuestionError, match=r"read in 2 ways: .*from-0.*from-1"):
        parse_csv(data)
    for answers, place in (("from-0", 2), ("from-1", 1)):
        (question,) = read_file("x.csv", data, Reading(answers=answers)).questions
        assert question.answer == place


def test_an_answer_that_is_a_place_and_a_text_is_asked_for() -> None:
    data = b"question,option1,option2,option3,answer\n1+1?,0,2,1,1\n2+2?,3,1,4,3\n"
    with pytest.raises(QuestionError, match=r"from-1.*text"):
        parse_csv(data)
    (first, _) = read_file("x.csv", data, Reading(answers="text")).questions
    assert first.options[first.answer or 0] == "1"


def test_an_answer_may_be_the_text_of_its_option() -> None:
    (question,) = parse_csv(b"question,choice1,choice2,correct\nWhy?,red,black,black\n")
    assert question.answer == 1


def test_a_blank_before_a_quoted_cell_is_no_text() -> None:
    read = read_file("x.csv", b'Who?, "red, dark", "black", white, green, B\n')
    assert read.questions == (Question("Who?", ("red, dark", "black", "white", "green"), 1),)
    assert read.notes == ("Blanks after a delimiter are not read: the file has them before quotes.",)
    (question,) = parse_csv(b"Who?, red,black,white,green,B\n")
    assert question.options[0] == " red"


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (b"Why?,a,a,c,d,A\n", "equal options"),
        (b"Why?,a,b,c, ,A\n", "empty text"),
        (b"Why\xc2\x85?,a,b,c,d,A\n", "control character"),
        (b"Why?,a,b,c,d\xc2\x80,A\n", "control character"),
        (b"Why?,a,b,c,d,E\n", "answer outside the options"),
        (b"Why?,a,b,c,d,-1\n", "answer outside the options"),
        (b"Why?,a,b,c,d,\n", "no answer"),
        (b"Why, oh?,a,b,c,d,A\n", "other number of columns"),
    ],
)
def test_one_odd_row_is_left_out_with_its_line_and_the_others_are_read(row: bytes, kind: str) -> None:
    read = read_file("birds.csv", LINE * 8 + row + LINE)
    assert read.questions == (RAVEN,) * 9
    assert summary(read.left_out) == f"1 {kind} (Line 9)"


def test_a_quoted_text_with_line_ends_of_windows_is_read() -> None:
    (question,) = parse_csv(b'"One\r\ntwo?",a,b,c,d,A\r\n')
    assert question.stem == "One\ntwo?"


def test_more_than_a_fifth_left_out_is_a_refusal() -> None:
    odd = b"Why?,a,a,c,d,A\n"
    assert len(read_file("x.csv", LINE * 8 + odd * 2).questions) == 8
    with pytest.raises(
        QuestionError, match=r"3 of 11 rows are not usable, more than a fifth: 3 equal options"
    ):
        parse_csv(LINE * 8 + odd * 3)


def test_semicolons_and_tabs_are_found_and_two_delimiters_asked_for() -> None:
    header = b"question;A;B;answer\nIs it one, or two?;one, not two;two;A\n"
    (question,) = parse_csv(header)
    assert question.options == ("one, not two", "two")
    assert parse_csv(LINE.replace(b",", b"\t")) == (RAVEN,)
    assert read_file("x.tsv", LINE.replace(b",", b"\t")).questions == (RAVEN,)
    both = b"a,b;c,d;e,f\n"
    with pytest.raises(QuestionError, match="read with comma or semicolon"):
        parse_csv(both)


def test_another_encoding_is_read_only_where_it_is_named() -> None:
    data = LINE.replace(b"raven", b"r\xe4ven")
    with pytest.raises(QuestionError, match=r"byte 0xE4 is not UTF-8\. Save the file as UTF-8, or name its"):
        parse_csv(data)
    (question,) = read_file("x.csv", data, Reading(encoding="windows-1252")).questions
    assert question.stem == "What color is a räven?"


def test_rows_of_100_000_characters_are_read() -> None:
    (question,) = parse_csv(b"x" * 100_000 + b",a,b,c,d,A\n")
    assert len(question.stem) == 100_000
    assert len(preview("x.csv", b"x" * 100_000 + b",a,b,c,d,A\n").rows[0][0]) == 200


def test_columns_are_mapped_by_hand_and_shown_before() -> None:
    data = b"Frage,w,x,y,Richtig,Fach\nWarum?,rot,blau,gelb,2,Farben\nWo?,hier,da,dort,3,Orte\n"
    seen = preview("x.csv", data)
    assert (seen.columns[0], seen.rows[1][0], seen.read) == ("column 1", "Warum?", None)
    assert "Map the columns by hand" in seen.problem
    columns = Columns("Frage", ("w", "x", "y"), "Richtig", "Fach")
    seen = preview("x.csv", data, Reading(header=True, columns=columns))
    assert seen.read is not None
    assert seen.read.questions == (
        Question("Warum?", ("rot", "blau", "gelb"), 1, "Farben"),
        Question("Wo?", ("hier", "da", "dort"), 2, "Orte"),
    )
    with pytest.raises(QuestionError, match="There is no column 'z'"):
        read_file("x.csv", data, Reading(header=True, columns=Columns("Frage", ("w", "z"))))


def test_a_file_without_answers_is_told_to_be() -> None:
    read = read_file("x.csv", b"question,A,B,answer\nWhy?,a,b,\n")
    assert (read.questions[0].answer, read.notes) == (None, ("No question of the file has a right answer.",))


def test_trailing_empty_options_are_options_that_a_question_does_not_have() -> None:
    data = b"question,A,B,C,D,answer\nWhy?,a,b,c,,C\nWho?,a,b,c,d,D\n"
    assert [len(question.options) for question in parse_csv(data)] == [3, 4]


choices = st.lists(text, min_size=2, max_size=10, unique_by=str.strip)


@given(
    st.lists(choices.flatmap(lambda options: st.tuples(st.just(options), st.integers(0, len(options) - 1))))
)
def test_answers_counted_from_1_never_become_answers_counted_from_0(
    rows: list[tuple[list[str], int]],
) -> None:
    lines = [
        json.dumps({"question": "Why?", "choices": options, "answer": place + 1}) for options, place in rows
    ]
    with contextlib.suppress(QuestionError):
        read = read_file("x.jsonl", "\n".join(lines).encode())
        assert [question.answer for question in read.questions] == [place for _, place in rows]
