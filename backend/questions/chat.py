"""A prompt as a chat: the model's own chat markup around the text of a template."""

from jinja2 import TemplateError

from backend.contract.errors import QuestionError
from backend.questions.templates import Segment, Segments
from backend.questions.tokenizer import Tokenizer

# Some templates write today's date into the system message: tomorrow's prompt would not be today's. This date
# is the default of Llama 3's own template. Reasoning models are asked to answer at once.
SETTINGS = {"date_string": "26 Jul 2024", "enable_thinking": False}


def in_chat(segments: Segments, tokenizer: Tokenizer) -> Segments:
    """The prelude as system message, the question as the user's, the suffix as the assistant's first words.

    Shots open the user's message, and so does the prelude where the template refuses or drops a system
    message. The markup before the user's words is prelude, that after them suffix. Spaces at both ends of a
    message are removed, as many templates do. Raises QuestionError if the tokenizer has no chat template, or
    one that changes the text.
    """
    if not tokenizer.chat_template:
        raise QuestionError(
            "This model's tokenizer has no chat template. Choose the template paper or plain."
        )
    prelude = Segment(_text(tuple(s for s in segments if s.role == "prelude")).strip(), "prelude")
    user = _trimmed(tuple(s for s in segments if s.role not in ("prelude", "suffix")))
    suffix = tuple(s for s in segments if s.role == "suffix")
    text = _text(user)
    markup = _with_system(prelude.text, text, tokenizer)
    if markup is None:
        user = (prelude, Segment("\n\n", "prelude"), *user)
        text = _text(user)
        markup = _markup([{"role": "user", "content": text}], tokenizer)
    before, found, after = markup.rpartition(text)
    if not found:
        raise QuestionError(
            "This model's chat template changes the question's text. Choose the template paper or plain."
        )
    return (Segment(before, "prelude"), *user, Segment(after, "suffix"), *suffix)


def _with_system(system: str, user: str, tokenizer: Tokenizer) -> str | None:
    try:
        markup = _markup(
            [{"role": "system", "content": system}, {"role": "user", "content": user}],
            tokenizer,
        )
    except TemplateError:
        return None
    return markup if system in markup else None


def _markup(messages: list[dict[str, str]], tokenizer: Tokenizer) -> str:
    return str(
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **SETTINGS)
    )


def _trimmed(segments: Segments) -> Segments:
    """The user's message without the last newline and without spaces at both ends."""
    *kept, last, _newline = segments
    kept[0] = Segment(kept[0].text.lstrip(), kept[0].role)
    return (*kept, Segment(last.text.rstrip(), last.role))


def _text(segments: Segments) -> str:
    return "".join(segment.text for segment in segments)
