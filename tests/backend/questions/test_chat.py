import pytest

from backend.contract.errors import QuestionError
from backend.contract.question import Question
from backend.questions.chat import in_chat
from backend.questions.templates import paper
from tests.backend.questions.conftest import CHATML, build

SNOW = Question("What color is snow?", ("white", "blue"), 0, "colors")
PRELUDE = (
    "A highly knowledgeable and intelligent artificial intelligence model "
    "answers multiple-choice questions about colors."
)
BLOCK = "What color is snow?\n(A) white\n(B) blue"
GEMMA_LIKE = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<start>{{ messages[0].content | trim }}<end>"
)
DROPS_SYSTEM = "<start>{{ messages[-1].content }}<end>"


def chat(template: str | None, question: Question = SNOW, shots: tuple[Question, ...] = ()) -> str:
    segments = in_chat(paper(question, "AB", shots), build(chat_template=template))
    return "".join(segment.text for segment in segments)


def test_prelude_question_and_answer_are_system_user_and_assistant() -> None:
    assert chat(CHATML) == (
        f"<|im_start|>system\n{PRELUDE}<|im_end|>\n<|im_start|>user\n{BLOCK}<|im_end|>\n"
        "<|im_start|>assistant\nAnswer: ("
    )


@pytest.mark.parametrize("template", [GEMMA_LIKE, DROPS_SYSTEM])
def test_without_a_system_message_the_prelude_opens_the_users(template: str) -> None:
    assert chat(template) == f"<start>{PRELUDE}\n\n{BLOCK}<end>Answer: ("


def test_shots_are_in_the_users_message() -> None:
    assert f"user\n{BLOCK}\nAnswer: (A)\n\n{BLOCK}<|im_end|>" in chat(CHATML, shots=(SNOW,))


def test_blanks_that_a_template_trims_do_no_harm() -> None:
    assert BLOCK in chat(GEMMA_LIKE, Question("  What color is snow?", ("white", "blue  ")))


def test_markup_has_the_roles_of_its_side() -> None:
    segments = in_chat(paper(SNOW, "AB", ()), build(chat_template=CHATML))
    assert (segments[0].role, segments[-2].role, segments[-1].role) == ("prelude", "suffix", "suffix")
    assert segments[1].role == "stem"


def test_the_date_of_today_is_not_in_the_prompt() -> None:
    dated = "{{ date_string if date_string is defined else strftime_now('%d %b %Y') }}" + CHATML
    assert chat(dated).startswith("26 Jul 2024<|im_start|>")


def test_a_tokenizer_without_chat_template_is_an_error() -> None:
    with pytest.raises(QuestionError, match="has no chat template"):
        chat(None)


def test_a_template_that_changes_the_text_is_an_error() -> None:
    with pytest.raises(QuestionError, match="changes the question's text"):
        chat("{{ messages[-1].content | upper }}")
