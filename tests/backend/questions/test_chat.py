from datetime import datetime

import pytest
from transformers.utils import chat_template_utils

from backend.contract.errors import QuestionError
from backend.contract.question import Question
from backend.questions.chat import DATE, TODAY, in_chat
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
    segments, _ = in_chat(paper(question, "AB", shots), build(chat_template=template))
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
    segments, notes = in_chat(paper(SNOW, "AB", ()), build(chat_template=CHATML))
    assert (segments[0].role, segments[-2].role, segments[-1].role) == ("prelude", "suffix", "suffix")
    assert [(segment.text, segment.markup) for segment in segments[:4]] == [
        ("<|im_start|>system\n", True),
        (PRELUDE, False),
        ("<|im_end|>\n<|im_start|>user\n", True),
        ("What color is snow?\n", False),
    ]
    assert segments[3].role == "stem"
    assert notes == ()


def test_the_date_of_today_is_not_in_the_prompt() -> None:
    dated = "{{ date_string if date_string is defined else strftime_now('%d %b %Y') }}" + CHATML
    assert chat(dated).startswith("26 Jul 2024<|im_start|>")


@pytest.mark.parametrize("asking", ["strftime_now('%d %b %Y')", "strftime_now('%A, %H:%M')", "date_string"])
def test_two_days_give_the_same_prompt_and_the_date_is_told(
    asking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of transformers goes on; the prompt does not."""
    made = []
    for day in (3, 4):
        later = type(
            "Later", (datetime,), {"now": classmethod(lambda cls, day=day: datetime(2031, 5, day, day))}
        )
        monkeypatch.setattr(chat_template_utils, "datetime", later)
        made.append(in_chat(paper(SNOW, "AB", ()), build(chat_template=f"{{{{ {asking} }}}}" + CHATML)))
    assert made[0] == made[1]
    assert made[0][1] == ("The chat template asks for today's date: it is always given 26 Jul 2024.",)
    assert TODAY.strftime("%d %b %Y") == DATE


@pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d", "on %A, %H:%M!", "%-d.%-m.%y", "now"])
def test_a_template_gets_the_date_in_the_form_it_asks_for(form: str) -> None:
    dated = (
        f"   {{% if true %}}{{{{ strftime_now('{form}') ~ strftime_now('%Y')|int }}}}{{% endif %}}" + CHATML
    )
    assert chat(dated) == f"{TODAY.strftime(form)}2024" + chat(CHATML)


@pytest.mark.parametrize("drawn", ["{{ ['a', 'b']|random }}", "{{ [1, 2] | random }}", "{{ lipsum() }}"])
def test_a_template_that_draws_is_an_error(drawn: str) -> None:
    with pytest.raises(
        QuestionError, match=r"draws at random \((random|lipsum)\).*Choose the template paper"
    ):
        chat(drawn + CHATML)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ messages[0] + 1 }}", "TypeError"),
        ("{% if %}", "TemplateSyntaxError"),
        ("{{ nothing.at.all }}", "UndefinedError"),
        ("{{ raise_exception('Only tools') }}", "Only tools"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ messages[7].content }}", "UndefinedError"),
    ],
)
def test_what_a_template_raises_is_told_as_its_own(template: str, reason: str) -> None:
    with pytest.raises(QuestionError, match=rf"chat template cannot be used.*{reason}.*Choose the") as told:
        chat(template)
    assert "\n" not in str(told.value)


def test_named_templates_without_a_default_are_named() -> None:
    tokenizer = build()
    tokenizer.chat_template = {"tool_use": CHATML, "rag": CHATML}
    with pytest.raises(
        QuestionError, match=r"chat templates rag, tool_use, and none is named default\. Choose"
    ):
        in_chat(paper(SNOW, "AB", ()), tokenizer)
    tokenizer.chat_template = {"tool_use": "{{ 1 / 0 }}", "default": CHATML}
    assert in_chat(paper(SNOW, "AB", ()), tokenizer) == in_chat(
        paper(SNOW, "AB", ()), build(chat_template=CHATML)
    )


def test_a_tokenizer_without_chat_template_is_an_error() -> None:
    with pytest.raises(QuestionError, match="has no chat template"):
        chat(None)


def test_a_template_that_changes_the_text_is_an_error() -> None:
    with pytest.raises(QuestionError, match="changes the question's text"):
        chat("{{ messages[-1].content | upper }}")
