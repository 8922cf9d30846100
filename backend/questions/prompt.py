"""A prompt: what the model reads for one question, token by token, and what each token is there for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import RequestError, shown

TEMPLATES = ("paper", "plain", "chat", "square")
MAX_SHOTS = 5
DEFAULT_LABELS = tuple("ABCDEFGHIJ")


@dataclass(frozen=True)
class PromptSpec:
    """How a question becomes a prompt.

    `labels` has at least as many entries as the question has options; those beyond are not used. `shots`
    solved questions of the same subject come before, from `shots_from`, a bank's name (empty: the bank that
    the question itself was named from).
    """

    template: str = "paper"
    labels: tuple[str, ...] = DEFAULT_LABELS
    shots: int = 0
    shots_from: str = ""

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES:
            raise RequestError(
                f"There is no template {shown(self.template)}. Choose one of {', '.join(TEMPLATES)}."
            )
        if not 0 <= self.shots <= MAX_SHOTS:
            raise RequestError(f"shots must be 0 to {MAX_SHOTS}, not {self.shots}.")
        if len(self.labels) < 2:
            raise RequestError(f"At least 2 labels are needed; {len(self.labels)} given.")
        for label in self.labels:
            if not label.strip() or label != label.strip():
                raise RequestError(f"A label must be text without blanks around it, not {shown(label)}.")
            if not label.isprintable():
                raise RequestError(f"The label {shown(label)} holds a control character. Use visible text.")
        if len(set(self.labels)) != len(self.labels):
            raise RequestError(f"The labels {shown(' '.join(self.labels))} are not all different.")

    @classmethod
    def from_json(cls, data: object) -> "PromptSpec":
        """Build from `{"template"?, "labels"?, "shots"?, "shots_from"?}`. Raises RequestError."""
        if not isinstance(data, Mapping):
            raise RequestError(f"prompt must be an object, not {shown(data)}.")
        unknown = sorted(str(key) for key in data if key not in cls.__dataclass_fields__)
        if unknown:
            raise RequestError(
                f"prompt has no field {shown(unknown[0])}. Use {', '.join(cls.__dataclass_fields__)}."
            )
        labels = data.get("labels", DEFAULT_LABELS)
        if not isinstance(labels, list | tuple) or not all(isinstance(label, str) for label in labels):
            raise RequestError(f"prompt.labels must be a list of texts, not {shown(labels)}.")
        shots = data.get("shots", 0)
        if isinstance(shots, bool) or not isinstance(shots, int):
            raise RequestError(f"prompt.shots must be a whole number, not {shown(shots)}.")
        texts = {name: data.get(name, getattr(cls, name)) for name in ("template", "shots_from")}
        for name, value in texts.items():
            if not isinstance(value, str):
                raise RequestError(f"prompt.{name} must be a text, not {shown(value)}.")
        return cls(labels=tuple(labels), shots=shots, **texts)

    def to_json(self) -> dict[str, Any]:
        """The same, as JSON-ready values."""
        return {
            "template": self.template,
            "labels": list(self.labels),
            "shots": self.shots,
            "shots_from": self.shots_from,
        }


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
