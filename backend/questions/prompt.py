"""A prompt: the tokens that the model gets for one question, and the role of each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """One rendered prompt.

    Attributes:
        text: the input of the model as text.
        token_ids: the tokenizer's ids of `text`, special tokens included; length `position`.
        tokens: for each position the part of `text` that it covers, or the name of a special token.
        roles: for each position its role: prelude, shot, stem or suffix; label, bracket, option or newline with the
            option's index, as in `"label 2"`; final for the last position.
        labels: the labels shown, one for each option.
        answer_ids: for each label the token that the tokenizer appends if the label follows `text`.
        answer: index of the right label, or None.
        notes: what a user should know of it, in sentences.
        controls: the control tokens of the model that the question quotes, each once.
        markup: where control tokens hold, as pairs of start and end in `text`; elsewhere they are plain text. None:
            they hold everywhere.
    """

    text: str
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    roles: tuple[str, ...]
    labels: tuple[str, ...]
    answer_ids: tuple[int, ...]
    answer: int | None
    notes: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    markup: tuple[tuple[int, int], ...] | None = None

    def positions(self, role: str) -> tuple[int, ...]:
        """Positions whose role is `role`, in order: `prompt.positions("label 2")`."""
        return tuple(position for position, name in enumerate(self.roles) if name == role)
