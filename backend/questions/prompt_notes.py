"""What a user should know of how a prompt was cut into tokens."""

from backend.contract.errors import shown
from backend.questions.control_tokens import control_tokens, spelled, within
from backend.questions.encoding import Encoded, Spans
from backend.questions.tokenizer import Tokenizer

MOST = 5


def quoted_controls(
    tokenizer: Tokenizer, text: str, encoded: Encoded, markup: Spans, *, as_text: bool
) -> tuple[str, ...]:
    """The control tokens that the text holds outside of the markup, in order, each once: those among its tokens, or
    where they are read as text, those that it spells.
    """
    if as_text:
        return tuple(dict.fromkeys(spelled(tokenizer, text, markup)))
    known = control_tokens(tokenizer)
    found: dict[str, None] = {}
    for token, (start, stop) in zip(encoded.ids, encoded.offsets, strict=True):
        name = known.get(token)
        if name is None or start == stop:
            continue
        place = text[start:stop].find(name)  # not at 0 where the token takes the blanks around it
        if place >= 0 and not within(start + place, markup):  # not there: a word that is not known
            found[name] = None
    return tuple(found)


def notes_of(
    tokenizer: Tokenizer, text: str, encoded: Encoded, controls: tuple[str, ...], *, as_text: bool
) -> tuple[str, ...]:
    """A sentence or two for each thing that is special about the tokens of the text."""
    notes = []
    if controls:
        named = _listed(controls)
        notes.append(
            f"The prompt quotes control tokens of this model: {named}. They are read as plain text here."
            if as_text
            else f"The prompt quotes control tokens of this model: {named}. The model gets each as one token with a "
            "meaning of its own, not as its letters."
        )
    if encoded.ended_by:
        ended = _listed(tokenizer.convert_ids_to_tokens(list(encoded.ended_by)))
        notes.append(
            f"The tokenizer ends every text with {ended}. Here this is left out, because the answer is to follow."
        )
    if unread := _unread(tokenizer, text, encoded):
        notes.append(
            f"The tokenizer does not know {_listed(unread)}: the model gets the token for the unknown in their place."
        )
    return tuple(notes)


def _unread(tokenizer: Tokenizer, text: str, encoded: Encoded) -> tuple[str, ...]:
    """The pieces of text that become the token for the unknown."""
    unknown = tokenizer.unk_token_id
    if unknown is None or unknown not in encoded.ids:
        return ()
    spelled_out = tokenizer.convert_ids_to_tokens([unknown])
    pieces = (
        text[start:stop].strip()
        for number, (start, stop) in zip(encoded.ids, encoded.offsets, strict=True)
        if number == unknown
    )
    return tuple(dict.fromkeys(piece for piece in pieces if piece not in ("", *spelled_out)))


def _listed(texts: list[str] | tuple[str, ...]) -> str:
    more = "" if len(texts) <= MOST else f" and {len(texts) - MOST} more"
    return ", ".join(shown(text, 60) for text in texts[:MOST]) + more
