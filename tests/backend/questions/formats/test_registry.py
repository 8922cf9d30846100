"""Each public format, in files of our own in its exact shape, against a plain reader of a few lines.

The field names are those of the public releases; the questions are ours.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas
import pytest

from backend.contract.errors import QuestionError
from backend.contract.files import Reading, summary
from backend.questions.files import read_file
from backend.questions.formats.registry import REGISTRY

Read = tuple[str, list[str], int | None]
Rows = Sequence[Mapping[str, Any]]


def jsonl(rows: Rows) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def array(rows: Rows) -> bytes:
    return json.dumps(rows, indent=1).encode()


def parquet(rows: Rows) -> bytes:
    file = io.BytesIO()
    pandas.DataFrame(rows).to_parquet(file)
    return file.getvalue()


def ours(name: str, data: bytes) -> list[Read]:
    return [(q.stem, list(q.options), q.answer) for q in read_file(name, data).questions]


ARC = [
    {
        "id": "Mercury_1",
        "question": {
            "stem": "Which planet is largest?",
            "choices": [
                {"text": t, "label": k}
                for k, t in zip("ABCD", ("Mars", "Earth", "Jupiter", "Venus"), strict=True)
            ],
        },
        "answerKey": "C",
    },
    {
        "id": "NYSEDREGENTS_2",
        "question": {
            "stem": "Which is a gas\nat room temperature?",
            "choices": [
                {"text": t, "label": k} for k, t in zip("1234", ("iron", "neon", "salt", "ice"), strict=True)
            ],
        },
        "answerKey": "2",
    },
    {
        "id": "TIMSS_3",
        "question": {
            "stem": "What do bees make?",
            "choices": [
                {"text": t, "label": k} for k, t in zip("ABC", ("silk", "milk", "honey"), strict=True)
            ],
        },
        "answerKey": "C",
    },
    {
        "id": "MCAS_4",
        "question": {
            "stem": "Which is a “metal”?",
            "choices": [
                {"text": t, "label": k}
                for k, t in zip("ABCDE", ("wood", "air", "tin", "wax", "ice"), strict=True)
            ],
        },
        "answerKey": "C",
    },
]
ARC_COLUMNS = [
    {
        "id": row["id"],
        "question": row["question"]["stem"],  # type: ignore[index]
        "choices": {
            "text": [c["text"] for c in row["question"]["choices"]],  # type: ignore[index]
            "label": [c["label"] for c in row["question"]["choices"]],  # type: ignore[index]
        },
        "answerKey": row["answerKey"],
    }
    for row in ARC
]
COMMONSENSE = [
    {
        "answerKey": "E",
        "id": "61fe6e",
        "question": {
            "question_concept": "raven",
            "choices": [
                {"label": k, "text": t}
                for k, t in zip("ABCDE", ("pond", "sea", "cave", "oven", "tree"), strict=True)
            ],
            "stem": "Where does a raven sit?",
        },
    }
]
MMLU = [
    {
        "question": "2 + 2 =",
        "subject": "elementary_mathematics",
        "choices": ["3", "4", "5", "6"],
        "answer": 1,
    },
    {
        "question": "3 + 3 =",
        "subject": "elementary_mathematics",
        "choices": ["6", "7", "8", "9"],
        "answer": 0,
    },
]
MMLU_PRO = [
    {
        "question_id": 70,
        "question": "Which letter is the tenth?",
        "options": list("ABCDEFGHIJ"),
        "answer": "J",
        "answer_index": 9,
        "cot_content": "",
        "category": "other",
        "src": "ours",
    },
    {
        "question_id": 71,
        "question": "Which is even?",
        "options": ["1", "2", "3", "N/A", "N/A"],
        "answer": "B",
        "answer_index": 1,
        "cot_content": "",
        "category": "math",
        "src": "ours",
    },
]
TRUTHFUL = [
    {"question": "Do ravens talk?", "mc1_targets": {"choices": ["Some imitate", "Never"], "labels": [1, 0]},
     "mc2_targets": {"choices": ["Some imitate", "Never"], "labels": [1, 0]}},
    {"question": "Is coal white?", "mc1_targets": {"choices": ["It is black", "Yes", "It is red"], "labels": [1, 0, 0]},
     "mc2_targets": {"choices": ["It is black", "Yes"], "labels": [1, 0]}},
]  # fmt: skip
MIB_CHOICES = {"label": ["A", "B", "C", "D"], "text": ["gray", "black", "white", "pink"]}
MIB = [
    {
        "prompt": "Question: Coal is black. What color is coal?\nA. gray\nB. black\nC. white\nD. pink\nAnswer:",
        "choices": MIB_CHOICES,
        "answerKey": 1,
        "answerPosition_counterfactual": {
            "prompt": "Question: Coal is black. What color is coal?\nA. black\nB. gray\nC. white\nD. pink\nAnswer:",
            "choices": {"label": ["A", "B", "C", "D"], "text": ["black", "gray", "white", "pink"]},
            "answerKey": 0,
        },
    }
]
MMLU_CSV = (
    '"Which of these, if any, is a\r\n""bird""?",raven,coal,"snow, milk",None,A\r\n'
    "What is 1/2 + 1/2?,1,2,1/4,0.5,A\r\n"
    "Which color is a raven?,red,black,white,green,B\r\n"
    "Which color is snow?,red,black,white,green,C\r\n"
    "Which color is grass?,red,black,white,green,D\r\n"
)


def arc(rows: Rows) -> list[Read]:
    return [
        (
            row["question"]["stem"],
            [choice["text"] for choice in row["question"]["choices"]],
            [choice["label"] for choice in row["question"]["choices"]].index(row["answerKey"]),
        )
        for row in rows
    ]


# name of the format, its rows, and the same questions by a reader of a line
FIXTURES: list[tuple[str, Rows, Callable[[Rows], list[Read]]]] = [
    ("arc", ARC, arc),
    ("arc", COMMONSENSE, arc),
    ("arc-columns", ARC_COLUMNS, lambda rows: arc(ARC)),
    ("mmlu", MMLU, lambda rows: [(row["question"], row["choices"], row["answer"]) for row in rows]),
    (
        "mmlu-pro",
        MMLU_PRO,
        lambda rows: [
            (row["question"], [o for o in row["options"] if o != "N/A"], row["answer_index"]) for row in rows
        ],
    ),
    ("truthfulqa", TRUTHFUL, lambda rows: [(r["question"], r["mc1_targets"]["choices"], 0) for r in rows]),
    (
        "mib",
        MIB,
        lambda rows: [
            (r["prompt"].split("\n")[0][len("Question: ") :], r["choices"]["text"], r["answerKey"]) for r in rows
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "rows", "plain"), FIXTURES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_format_is_found_and_read_as_a_plain_reader_reads_it(
    name: str, rows: Rows, plain: Callable[[Rows], list[Read]]
) -> None:
    for end, data in ((".jsonl", jsonl(rows)), (".json", array(rows)), (".parquet", parquet(rows))):
        assert read_file("x" + end, data).format == name
        assert ours("x" + end, data) == plain(rows)
        assert read_file("x" + end, data, Reading(format=name)).left_out == ()


def test_mmlu_csv_is_read_as_the_csv_module_reads_it() -> None:
    read = read_file("high_school_biology_test.csv", MMLU_CSV.encode())
    rows = csv.reader(io.StringIO(MMLU_CSV))
    assert [(q.stem, list(q.options), q.answer) for q in read.questions] == [
        (row[0].replace("\r\n", "\n"), row[1:5], "ABCD".index(row[5])) for row in rows
    ]
    assert {q.subject for q in read.questions} == {"high school biology"}


def test_subjects_are_those_of_the_file() -> None:
    assert {q.subject for q in read_file("x.jsonl", jsonl(MMLU)).questions} == {"elementary mathematics"}
    assert [q.subject for q in read_file("x.jsonl", jsonl(MMLU_PRO)).questions] == ["other", "math"]


def test_openbookqa_of_the_hub_has_a_stem_of_another_name() -> None:
    rows = [{"question_stem": row["question"], **row} for row in ARC_COLUMNS]
    for row in rows:
        del row["question"]
    assert ours("x.parquet", parquet(rows)) == arc(ARC)


def test_truthfulqa_as_released_has_objects_of_texts_and_marks() -> None:
    rows = [{"question": "Is coal white?", "mc1_targets": {"No": 1, "Yes": 0}, "mc2_targets": {"No": 1}}]
    assert ours("mc_task.json", array(rows)) == [("Is coal white?", ["No", "Yes"], 0)]
    assert "first in every question" in read_file("x.json", array(rows)).notes[0]


def test_truthfulqa_with_more_than_ten_options_is_left_out() -> None:
    many = {"choices": [str(n) for n in range(13)], "labels": [1] + [0] * 12}
    read = read_file(
        "x.jsonl", jsonl([*TRUTHFUL * 4, {"question": "Many?", "mc1_targets": many, "mc2_targets": many}])
    )
    assert summary(read.left_out) == "1 number of options (Line 9)"


def test_a_test_split_without_answers_is_read_and_told() -> None:
    rows = [{**row, "answerKey": ""} for row in ARC_COLUMNS]
    read = read_file("x.parquet", parquet(rows))
    assert {q.answer for q in read.questions} == {None}
    assert read.notes == ("No question of the file has a right answer.",)
    rows[0]["answerKey"] = "C"
    with pytest.raises(QuestionError, match=r"3 no answer \(Row 2, Row 3, Row 4\)"):
        read_file("x.parquet", parquet(rows))


@pytest.mark.parametrize("key", ["E", "5", "c", "AB", 3, True])
def test_an_answer_key_outside_the_labels_is_left_out(key: object) -> None:
    odd = {**ARC[0], "answerKey": key}
    read = read_file("x.jsonl", jsonl([*ARC, *ARC, odd]))
    assert summary(read.left_out) == "1 answer outside the options (Line 9)"
    assert len(read.questions) == 8


def test_mmlu_with_letters_floats_or_hidden_answers() -> None:
    for answers in (["B", "A"], [1.0, 0.0]):
        rows = [{**row, "answer": answer} for row, answer in zip(MMLU, answers, strict=True)]
        assert [q.answer for q in read_file("x.parquet", parquet(rows)).questions] == [1, 0]
    hidden = [{**row, "answer": -1} for row in MMLU]
    with pytest.raises(QuestionError, match="letter, number or text of an option; the first are -1, -1"):
        read_file("x.parquet", parquet(hidden))


def test_answers_of_mmlu_columns_that_never_name_the_first_option_are_asked_for() -> None:
    rows = [{**MMLU[0], "answer": 1}, {**MMLU[0], "answer": 2}]
    with pytest.raises(QuestionError, match=r"from-0.*from-1"):
        read_file("x.jsonl", jsonl(rows))


def test_rows_that_mmlu_redux_flags_are_left_out_by_flag() -> None:
    flagged = [{**MMLU[index % 2], "error_type": "ok"} for index in range(8)]
    flagged.append({**MMLU[0], "error_type": "wrong_groundtruth"})
    read = read_file("x.parquet", parquet(flagged))
    assert (read.format, len(read.questions)) == ("mmlu-redux", 8)
    assert summary(read.left_out) == "1 flagged 'wrong_groundtruth' (Row 9)"


def test_an_answer_and_an_index_that_differ_are_left_out() -> None:
    rows = [*MMLU_PRO * 3, {**MMLU_PRO[0], "answer_index": 0}]
    assert summary(read_file("x.jsonl", jsonl(rows)).left_out) == "1 answers differ (Line 7)"


def test_mibs_counterfactuals_are_pairs_and_survive_our_own_format() -> None:
    turned = MIB[0]["answerPosition_counterfactual"]
    lettered = {
        "prompt": "Question: Coal is black. What color is coal?\nK. gray\nV. black\nC. white\nZ. pink\nAnswer:",
        "choices": {"label": list("KVCZ"), "text": MIB_CHOICES["text"]},
        "answerKey": 1,
    }
    both = {
        "prompt": "Question: Coal is black. What color is coal?\nK. black\nV. gray\nC. white\nZ. pink\nAnswer:",
        "choices": {"label": list("KVCZ"), "text": turned["choices"]["text"]},  # type: ignore[index]
        "answerKey": 0,
    }
    row = {
        **MIB[0],
        "randomLetter_counterfactual": lettered,
        "answerPosition_randomLetter_counterfactual": both,
    }
    for end, data in ((".jsonl", jsonl([row])), (".parquet", parquet([row]))):
        (question,) = read_file("x" + end, data).questions
        assert [(pair.kind, pair.question.answer, "".join(pair.labels)) for pair in question.pairs] == [
            ("position", 0, ""),
            ("letter", 1, "KVCZ"),
            ("both", 0, "KVCZ"),
        ]
        assert {pair.question.stem for pair in question.pairs} == {question.stem}
        again = [question.to_json(), {"stem": "Why?", "options": ["a", "b"]}]
        assert read_file("x.jsonl", jsonl(again)).questions[0] == question
        assert read_file("x.parquet", parquet(again)).questions[0] == question


def test_a_prompt_that_lists_other_options_is_left_out() -> None:
    rows = [*MIB * 5, {**MIB[0], "choices": {**MIB_CHOICES, "text": ["gray", "black", "white", "red"]}}]
    assert summary(read_file("x.jsonl", jsonl(rows)).left_out) == "1 prompt without its options (Line 6)"


def test_a_file_that_fits_two_formats_is_asked_for() -> None:
    both = [{**MMLU[0], "mc1_targets": {"choices": ["a", "b"], "labels": [1, 0]}}]
    with pytest.raises(QuestionError, match=r"fits 2 formats: mmlu, truthfulqa\. Say which it is"):
        read_file("x.jsonl", jsonl(both))
    assert read_file("x.jsonl", jsonl(both), Reading(format="truthfulqa")).questions[0].options == ("a", "b")


def test_a_format_that_is_named_and_does_not_fit_is_refused_with_what_was_seen() -> None:
    with pytest.raises(QuestionError, match=r"is not of the format arc .*'question', 'subject', 'choices'"):
        read_file("x.jsonl", jsonl(MMLU), Reading(format="arc"))
    with pytest.raises(QuestionError, match=f"no format 'x'\\. Choose one of {', '.join(REGISTRY)}"):
        read_file("x.jsonl", jsonl(MMLU), Reading(format="x"))
