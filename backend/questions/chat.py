"""A prompt as a chat: the model's own chat markup around the text of a template."""

import re
from datetime import datetime

from backend.contract.errors import QuestionError, shown
from backend.questions.templates import Segment, Segments
from backend.questions.tokenizer import Tokenizer

TODAY = datetime(2024, 7, 26)
"""Some templates write today's date into the system message: tomorrow's prompt would not be today's. This date is the
default of Llama 3's own template."""
DATE = "26 Jul 2024"
OTHER_DAY = datetime(1999, 12, 31, 23, 58)
CLOCK = """{% macro strftime_now(form) %}{% set parts = form.split("%") %}{{ parts[0] }}{% for part in parts[1:] %}
{{ clock[part[:2]] ~ part[2:] if part[:2] in clock else clock[part[0]] ~ part[1:] }}
{%- endfor %}{% endmacro %}
"""
"""In place of transformers' clock, which goes on. A function cannot be given to a template, a table of texts can."""
DIRECTIVES = (
    "a",
    "A",
    "b",
    "B",
    "d",
    "-d",
    "e",
    "H",
    "I",
    "j",
    "m",
    "-m",
    "M",
    "p",
    "S",
    "U",
    "w",
    "y",
    "Y",
    "Z",
)
CHANCE = re.compile(r"\|\s*random\b|\blipsum\s*\(")
OTHERS = "Choose the template paper or plain."


class _UnusableError(Exception):
    """A template raised something: it is a program of others, and may raise anything."""


def in_chat(segments: Segments, tokenizer: Tokenizer) -> tuple[Segments, tuple[str, ...]]:
    """The prelude as system message, the question as the user's, the suffix as the assistant's first words.

    Shots open the user's message, and so does the prelude where the template refuses or drops a system
    message. The markup before the user's words is prelude, that after them suffix. Spaces at both ends of a
    message are removed, as many templates do. With it, sentences on what the template was given that a user should
    know. Raises QuestionError if the tokenizer has no chat template that can be used, or one that changes the text.
    """
    _check_template(tokenizer.chat_template)
    prelude = Segment(_text(tuple(s for s in segments if s.role == "prelude")).strip(), "prelude")
    user = _trimmed(tuple(s for s in segments if s.role not in ("prelude", "suffix")))
    suffix = tuple(s for s in segments if s.role == "suffix")
    text = _text(user)
    rendered = _with_system(prelude.text, text, tokenizer)
    if rendered is None:
        user = (prelude, Segment("\n\n", "prelude"), *user)
        text = _text(user)
        try:
            markup, dated = _markup([{"role": "user", "content": text}], tokenizer)
        except _UnusableError as error:
            raise QuestionError(
                f"This model's chat template cannot be used: it ends in {error}. {OTHERS}"
            ) from error
    else:
        markup, dated = rendered
    before, found, after = markup.rpartition(text)
    if not found:
        raise QuestionError(f"This model's chat template changes the question's text. {OTHERS}")
    notes = (f"The chat template asks for today's date: it is always given {DATE}.",) if dated else ()
    opened = [Segment(before, "prelude", markup=True)]
    if rendered is not None:
        first, prelude_text, second = before.rpartition(prelude.text)
        parts = ((first, True), (prelude_text, False), (second, True))
        opened = [Segment(part, "prelude", markup=markup) for part, markup in parts]
    return (*opened, *user, Segment(after, "suffix", markup=True), *suffix), notes


def markup_of(segments: Segments) -> tuple[tuple[int, int], ...]:
    """Where the chat template's own words stand in the text of the segments."""
    spans, end = [], 0
    for segment in segments:
        start, end = end, end + len(segment.text)
        if segment.markup and segment.text:
            spans.append((start, end))
    return tuple(spans)


def _check_template(template: object) -> None:
    if not template:
        raise QuestionError(f"This model's tokenizer has no chat template. {OTHERS}")
    if isinstance(template, dict):
        if "default" not in template:
            raise QuestionError(
                f"This model's tokenizer has the chat templates {', '.join(sorted(template))}, and none is named "
                f"default. {OTHERS}"
            )
        template = template["default"]
    if drawn := CHANCE.search(str(template)):
        raise QuestionError(
            f"This model's chat template draws at random ({drawn[0].strip('| (')}), so that no two prompts need be the "
            f"same. {OTHERS}"
        )


def _with_system(system: str, user: str, tokenizer: Tokenizer) -> tuple[str, bool] | None:
    try:
        markup, dated = _markup(
            [{"role": "system", "content": system}, {"role": "user", "content": user}],
            tokenizer,
        )
    except _UnusableError:
        return None
    return (markup, dated) if system in markup else None


def _markup(messages: list[dict[str, str]], tokenizer: Tokenizer) -> tuple[str, bool]:
    """The messages in the model's markup, and whether a date is in it. Reasoning models are asked to answer at once."""
    template = tokenizer.chat_template
    text = str(template["default"] if isinstance(template, dict) else template)

    def on(day: datetime) -> str:
        clock = {directive: day.strftime(f"%{directive}") for directive in DIRECTIVES}
        try:
            return str(
                tokenizer.apply_chat_template(
                    messages,
                    chat_template=CLOCK + text if "strftime_now" in text else text,
                    tokenize=False,
                    add_generation_prompt=True,
                    date_string=f"{day:%d} {day:%b} {day:%Y}",
                    enable_thinking=False,
                    clock=clock,
                )
            )
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise _UnusableError(shown(reason, 200)) from error

    dated = "strftime_now" in text or "date_string" in text
    markup = on(TODAY)
    return markup, dated and on(OTHER_DAY) != markup


def _trimmed(segments: Segments) -> Segments:
    """The user's message without the last newline and without spaces at both ends."""
    *kept, last, _newline = segments
    kept[0] = Segment(kept[0].text.lstrip(), kept[0].role)
    return (*kept, Segment(last.text.rstrip(), last.role))


def _text(segments: Segments) -> str:
    return "".join(segment.text for segment in segments)
