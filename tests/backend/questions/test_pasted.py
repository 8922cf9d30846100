import contextlib
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as some

from backend.contract.errors import QuestionError
from backend.questions.pasted import Pasted, split_question

STEM, OPTIONS = "What color is a raven?", ("red", "black", "white", "green")
STYLES = ("{})", "{}.", "({})", "[{}]", "{}:", "{}]", "**{})**", "- {})", "（{}）")
SERIES = (string.ascii_uppercase, string.ascii_lowercase, "123456789")
WORDS = some.text(string.ascii_lowercase + "äßما☝ ", min_size=1, max_size=12).filter(
    lambda text: text.strip() and not re.search(r"\b\w\b", text) and "answer" not in text
).map(lambda text: text.strip())  # fmt: skip


def pasted(
    style: str, series: str, between: str, stem: str = STEM, options: tuple[str, ...] = OPTIONS
) -> str:
    marked = [f"{style.format(series[place])} {option}" for place, option in enumerate(options)]
    return between.join([stem, *marked])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("between", ["\n", "\r\n", "\n\n", " ", "   \n  ", "\t"])
def test_each_way_to_mark_options_is_understood(style: str, series: str, between: str) -> None:
    if "- " in style and "\n" not in between:
        return
    assert split_question(pasted(style, series, between)) == Pasted(STEM, OPTIONS, None, labelled=True)


@given(
    style=some.sampled_from(STYLES[:6]),
    series=some.sampled_from(SERIES),
    between=some.sampled_from(["\n", " "]),
    stem=WORDS,
    options=some.lists(WORDS, min_size=2, max_size=9, unique=True).map(tuple),
    right=some.integers(-1, 8),
)
def test_what_was_put_together_is_taken_apart(
    style: str, series: str, between: str, stem: str, options: tuple[str, ...], right: int
) -> None:
    text = pasted(style, series, between, stem, options)
    answer = right if 0 <= right < len(options) else None
    if answer is not None:
        text += f"\nAnswer: {style.format(series[answer])}"
    assert split_question(text) == Pasted(stem, options, answer, labelled=True)


@given(some.text(alphabet=some.sampled_from("AaBbC12().:[]* \n\r\t?answer:xyz（）"), max_size=80))
def test_any_text_gives_something_and_loses_nothing_but_marks(text: str) -> None:
    found = split_question(text)
    letters = "".join(found.options) + found.stem
    if found.labelled:
        assert len(found.options) >= 2
    for kept in re.findall(r"[xyz]", text):
        assert kept in letters or "answer" in text.lower()


@given(some.text(max_size=300))
def test_nothing_that_is_pasted_raises_but_a_clear_error(text: str) -> None:
    with contextlib.suppress(QuestionError):
        assert split_question(text).question().options


@pytest.mark.parametrize(
    ("end", "answer"),
    [
        ("\nAnswer: B", 1),
        ("\nAnswer: (B)", 1),
        ("\nCorrect answer: b", None),
        ("\n**Answer:** C) white", 2),
        ("\nThe answer is: green.", 3),
        ("\nAnswer:", None),
        ("\nAnswer: (", None),
        (" Answer: D", 3),
    ],
)
def test_a_last_line_gives_the_right_option(end: str, answer: int | None) -> None:
    found = split_question(pasted("{})", string.ascii_uppercase, "\n") + end)
    assert found.answer == answer
    assert found.stem == STEM
    assert found.options[:3] == OPTIONS[:3]
    if "b" not in end:
        assert found.options == OPTIONS


def test_an_answer_that_names_no_option_stays_where_it_was() -> None:
    found = split_question(pasted("{})", string.ascii_uppercase, "\n") + "\nAnswer: purple")
    assert found.options[-1] == "green Answer: purple"
    assert found.answer is None


@pytest.mark.parametrize(
    ("text", "stem", "options"),
    [
        ("Does (A) follow from (B)?\nA) yes\nB) no", "Does (A) follow from (B)?", ("yes", "no")),
        (
            "Is A) or B) true?\nA) both\nB) neither\nC) A) only",
            "Is A) or B) true?",
            ("both", "neither", "A) only"),
        ),
        ("Who had hepatitis A. in 1990? A. he B. she", "Who had hepatitis A. in 1990?", ("he", "she")),
        ("When? A. 70 A.D. B. 5 B.C.", "When?", ("70 A.D.", "5 B.C.")),
        ("Which?\nA) one\nthat goes on\nB) two", "Which?", ("one that goes on", "two")),
        ("Which? A) one B) two\nC) three D) four", "Which?", ("one", "two", "three", "four")),
        ("12) Which?\nA) one\nB) two", "12) Which?", ("one", "two")),
        ("What is the answer to it all? (A) 41 (B) 42", "What is the answer to it all?", ("41", "42")),
        ("What is (A)red (B)blue", "What is", ("red", "blue")),
    ],
)
def test_letters_in_stems_and_options_do_not_mislead(text: str, stem: str, options: tuple[str, ...]) -> None:
    assert split_question(text) == Pasted(stem, options, None, labelled=True)


def test_ten_options_are_the_most() -> None:
    text = pasted(
        "{})", string.ascii_uppercase, "\n", options=tuple(f"option {place}" for place in range(10))
    )
    assert len(split_question(text).options) == 10


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("What color is a raven?", "No options were found"),
        ("What color?\nred\nblue", "No options were found"),
        ("What color? A) red", "No options were found"),
        ("What color? A) red B) red", "the same"),
        ("A) red B) blue", "The question is empty"),
        ("What color? A) B) red", "option 1 is empty"),
        ("", "No options were found"),
    ],
)
def test_what_cannot_be_asked_says_why(text: str, told: str) -> None:
    with pytest.raises(QuestionError, match=re.escape(told)):
        split_question(text).question()


def test_lines_without_letters_are_offered_to_be_corrected() -> None:
    found = split_question("What color?\n\nred\n blue ")
    assert found == Pasted("What color?", ("red", "blue"), None, labelled=False)


def test_a_long_text_of_marks_is_split_in_one_pass() -> None:
    """Each mark once: with each mark against each other, this would take minutes."""
    found = split_question("What? " + "A) red " * 50_000 + "B) blue")
    assert found.options == ("red", "blue")
    assert found.stem.endswith("A) red")
