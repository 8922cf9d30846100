import pytest

from backend.contract.errors import QuestionError
from backend.contract.prompt import TEMPLATES
from backend.contract.question import Question
from backend.questions.templates import REGISTRY, Segments, paper, plain

RAVEN = Question("What color is a raven?", ("red", "black", "white", "green"), 1, "colors")
SNOW = Question("What color is snow?", ("white", "blue"), 0, "colors")

PAPER = """\
A highly knowledgeable and intelligent artificial intelligence model \
answers multiple-choice questions about colors.

What color is a raven?
(A) red
(B) black
(C) white
(D) green
Answer: ("""

PAPER_WITH_SHOTS = """\
A highly knowledgeable and intelligent artificial intelligence model \
answers multiple-choice questions about colors.

What color is snow?
(A) white
(B) blue
Answer: (A)

What color is a raven?
(A) red
(B) black
(C) white
(D) green
Answer: (B)

What color is a raven?
(A) red
(B) black
(C) white
(D) green
Answer: ("""


def text(segments: Segments) -> str:
    return "".join(segment.text for segment in segments)


def test_paper_is_the_papers_prompt_byte_for_byte() -> None:
    assert text(paper(RAVEN, "ABCD", ())) == PAPER


def test_shots_are_solved_blocks_between_prelude_and_question() -> None:
    assert text(paper(RAVEN, "ABCD", (SNOW, RAVEN))) == PAPER_WITH_SHOTS


def test_plain_is_paper_without_the_first_line() -> None:
    assert text(plain(RAVEN, "ABCD", (SNOW,))) == text(paper(RAVEN, "ABCD", (SNOW,))).split("\n\n", 1)[1]


def test_labels_are_the_users_own() -> None:
    assert "\n(vi) black\n" in text(plain(RAVEN, ("v", "vi", "vii", "viii", "ix"), ()))


def test_braces_in_a_subject_are_text() -> None:
    odd = Question("Who?", ("a", "b"), subject="{subject} {0} <b>")
    assert "questions about {subject} {0} <b>.\n" in text(paper(odd, "AB", ()))


def test_every_piece_has_its_role() -> None:
    pieces = [(segment.text, segment.role) for segment in plain(SNOW, "AB", ())]
    assert pieces == [
        ("What color is snow?\n", "stem"),
        ("(", "bracket 0"),
        ("A", "label 0"),
        (")", "bracket 0"),
        (" white", "option 0"),
        ("\n", "newline 0"),
        ("(", "bracket 1"),
        ("B", "label 1"),
        (")", "bracket 1"),
        (" blue", "option 1"),
        ("\n", "newline 1"),
        ("Answer: (", "suffix"),
    ]


def test_fewer_labels_than_options_are_refused() -> None:
    with pytest.raises(QuestionError, match="4 options but only 3 labels"):
        plain(RAVEN, "ABC", ())


def test_a_shot_without_answer_is_refused() -> None:
    with pytest.raises(QuestionError, match="without a right answer"):
        plain(RAVEN, "ABCD", (Question("Who?", ("a", "b")),))


def test_the_registry_has_each_template_that_a_prompt_may_name() -> None:
    assert tuple(REGISTRY) == TEMPLATES
