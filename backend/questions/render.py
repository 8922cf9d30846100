"""From a question to its prompt: text, tokens, their roles, and the answer tokens.

Example: with the template `paper` and the options red and black the text ends in

    (A) red
    (B) black
    Answer: (

The roles of its tokens are `bracket 0`, `label 0`, `bracket 0`, `option 0`, ...; a token that covers two segments, such
as "(A", has the role of the label. `answer_ids` are the tokens that the tokenizer appends for "A" and "B" after the
last bracket.
"""

from collections.abc import Sequence

from backend.contract.errors import QuestionError, shown
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.questions.chat import in_chat, markup_of
from backend.questions.encoding import Spans, encode
from backend.questions.prompt import Prompt
from backend.questions.prompt_notes import notes_of, quoted_controls
from backend.questions.templates import Segments, template_of
from backend.questions.tokenizer import Tokenizer

# Longer texts are refused before they are tokenized, which takes seconds for megabytes.
MAX_CHARACTERS = 200_000

Offsets = Sequence[tuple[int, int]]


def render(
    question: Question,
    spec: PromptSpec,
    tokenizer: Tokenizer,
    shots: Sequence[Question] = (),
    token_limit: int | None = None,
    model_name: str = "",
) -> Prompt:
    """The prompt of `question` in the form of `spec`, after `spec.shots` solved questions.

    Args:
        token_limit: the most tokens that the model takes; None for no limit.
        model_name: the model's name in messages.

    Raises QuestionError if the labels do not fit the question or the tokenizer, or if the prompt is too long.
    """
    if len(shots) != spec.shots:
        raise QuestionError(f"The prompt asks for {spec.shots} solved questions; {len(shots)} were given.")
    _check_offsets(tokenizer, model_name)
    template = template_of(spec)
    labels = spec.labels[: len(question.options)]
    segments = template.segments(question, spec.labels, shots)
    notes: tuple[str, ...] = ()
    if template.chat:
        segments, notes = in_chat(segments, tokenizer)
    text = "".join(segment.text for segment in segments)
    model = model_name or "the model"
    _check_characters(text, token_limit, model)
    special = not template.chat  # chat markup contains the special tokens already
    written = markup_of(segments)
    markup = written if spec.controls_as_text else None
    encoded = encode(tokenizer, text, special=special, markup=markup)
    _check_length(len(encoded.ids), token_limit, model)
    offsets = _without_gaps(encoded.offsets)
    names = tokenizer.convert_ids_to_tokens(list(encoded.ids))
    controls = quoted_controls(tokenizer, text, encoded, written, as_text=spec.controls_as_text)
    return Prompt(
        text=text,
        token_ids=encoded.ids,
        tokens=tuple(text[a:b] or name for (a, b), name in zip(offsets, names, strict=True)),
        roles=_roles(segments, offsets),
        labels=labels,
        answer_ids=_answer_ids(
            text,
            encoded.ids,
            [template.blank + label for label in labels],
            tokenizer,
            special=special,
            markup=markup,
        ),
        answer=question.answer,
        notes=(*notes, *notes_of(tokenizer, text, encoded, controls, as_text=spec.controls_as_text)),
        controls=controls,
        markup=markup,
    )


def _check_offsets(tokenizer: Tokenizer, model_name: str) -> None:
    if not tokenizer.is_fast:
        raise QuestionError(
            f"The tokenizer of {model_name or 'this model'} does not report which characters a token covers. "
            "Choose a model with a fast tokenizer (tokenizer.json)."
        )


def _check_characters(text: str, token_limit: int | None, model: str) -> None:
    if len(text) > MAX_CHARACTERS:
        limit = "" if token_limit is None else f" {model} takes at most {token_limit:,} tokens."
        raise QuestionError(
            f"This question is {len(text):,} characters, too long for any model here.{limit} "
            "Shorten the question, its options or the number of shots."
        )


def _check_length(tokens: int, token_limit: int | None, model: str) -> None:
    if token_limit is not None and tokens > token_limit:
        raise QuestionError(
            f"This question is {tokens:,} tokens; {model} takes at most {token_limit:,} here. "
            "Shorten the question, its options or the number of shots."
        )


def _without_gaps(offsets: Offsets) -> Offsets:
    """Offsets in which each token also covers the spaces before it, which some tokenizers leave out.

    A character that is made of several tokens (an emoji) belongs to each of them. Special tokens cover nothing.
    """
    covered: list[tuple[int, int]] = []
    reached = 0
    for start, end in offsets:
        covered.append((min(start, reached), end))
        reached = max(reached, end)
    return covered


def _roles(segments: Segments, offsets: Offsets) -> tuple[str, ...]:
    """The role of each token's segment. If it covers several: the label's, else the option's, else the stem's."""
    bounds: list[tuple[int, int, str]] = []
    end = 0
    for segment in segments:
        start, end = end, end + len(segment.text)
        bounds.append((start, end, segment.role))
    roles = []
    current = 0
    for start, stop in offsets:
        if start == stop:
            roles.append("prelude")
            continue
        while current < len(bounds) - 1 and bounds[current][1] <= start:
            current += 1
        touched = [role for low, high, role in bounds[current:] if low < stop and high > start]
        roles.append(min(touched, key=_rank))
    return (*roles[:-1], "final")


def _rank(role: str) -> int:
    order = ("label", "option", "stem")
    kind = role.split()[0]
    return order.index(kind) if kind in order else len(order)


def _answer_ids(
    text: str,
    token_ids: tuple[int, ...],
    labels: Sequence[str],
    tokenizer: Tokenizer,
    *,
    special: bool,
    markup: Spans | None,
) -> tuple[int, ...]:
    """For each label the one token that the tokenizer appends when the label follows the prompt."""
    label_of: dict[int, str] = {}
    for label in labels:
        longer = encode(tokenizer, text + label, special=special, markup=markup).ids
        if longer[:-1] != token_ids:
            raise QuestionError(_not_one_token(label, token_ids, longer, tokenizer))
        if longer[-1] == tokenizer.unk_token_id:
            raise QuestionError(
                f"The tokenizer does not know the label {shown(label)}: it becomes "
                f"{shown(tokenizer.convert_ids_to_tokens(longer[-1:])[0])}. Choose other labels, or another model."
            )
        if longer[-1] in label_of:
            raise QuestionError(
                f"The labels {shown(label_of[longer[-1]])} and {shown(label)} are the same token here. "
                "Choose other labels."
            )
        label_of[longer[-1]] = label
    return tuple(label_of)


def _not_one_token(
    label: str, token_ids: tuple[int, ...], longer: tuple[int, ...], tokenizer: Tokenizer
) -> str:
    same = 0
    while same < min(len(token_ids), len(longer)) and token_ids[same] == longer[same]:
        same += 1
    pieces = tokenizer.convert_ids_to_tokens(list(longer[same:]))
    became = " and ".join(shown(piece) for piece in pieces)
    joined = "" if same == len(token_ids) else ", joined with the end of the prompt"
    return (
        f"The label {shown(label)} is not one token in this tokenizer: "
        f"after the prompt it becomes {became}{joined}. Choose a shorter label, such as a single letter."
    )
