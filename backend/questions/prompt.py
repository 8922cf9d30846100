"""A prompt: what the model reads for one question, token by token, and what each token is there for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """One rendered prompt.

    Attributes:
        text: what the model reads.
        token_ids: the tokenizer's ids of `text`, special tokens included; length `position`.
        tokens: for each position the piece of `text` it stands for (a special token's own name otherwise).
        roles: for each position its role: prelude, shot, stem, suffix, for the last one final, or one of an option's:
            label, bracket, option, newline with its index, as in `"label 2"`.
        labels: the labels shown, one for each option.
        answer_ids: for each label the token that says it right after `text`.
        answer: index of the right label, or None.
    """

    text: str
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    roles: tuple[str, ...]
    labels: tuple[str, ...]
    answer_ids: tuple[int, ...]
    answer: int | None

    def positions(self, role: str) -> tuple[int, ...]:
        """Positions whose role is `role`, in order: `prompt.positions("label 2")`."""
        return tuple(position for position, name in enumerate(self.roles) if name == role)
