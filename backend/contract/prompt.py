"""How a question becomes a prompt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.contract.custom_template import split_template
from backend.contract.errors import RequestError, shown

TEMPLATES = ("paper", "plain", "chat", "square", "mmlu", "colon", "arc", "custom")
MAX_SHOTS = 5
DEFAULT_LABELS = tuple("ABCDEFGHIJ")


@dataclass(frozen=True)
class PromptSpec:
    """How a question becomes a prompt.

    `labels` has at least as many entries as the question has options; those beyond are not used. `shots`
    solved questions of the same subject come before, from `shots_from`, a bank's name (empty: the bank that
    the question itself was named from). With `controls_as_text`, control tokens that the question quotes are plain
    text; otherwise they are the tokens themselves. `custom` is the text of the template `custom`, see
    `split_template`.
    """

    template: str = "paper"
    labels: tuple[str, ...] = DEFAULT_LABELS
    shots: int = 0
    shots_from: str = ""
    controls_as_text: bool = False
    custom: str = ""

    def __post_init__(self) -> None:
        if self.template not in TEMPLATES:
            raise RequestError(
                f"There is no template {shown(self.template)}. Choose one of {', '.join(TEMPLATES)}."
            )
        if self.template == "custom":
            split_template(self.custom)
        elif self.custom:
            raise RequestError(f"The template {self.template} takes no text of its own. Leave custom out.")
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
        """Build from `{"template"?, "labels"?, "shots"?, "shots_from"?, "controls_as_text"?, "custom"?}`.

        Raises RequestError naming the field.
        """
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
        texts = {name: data.get(name, getattr(cls, name)) for name in ("template", "shots_from", "custom")}
        for name, value in texts.items():
            if not isinstance(value, str):
                raise RequestError(f"prompt.{name} must be a text, not {shown(value)}.")
        as_text = data.get("controls_as_text", False)
        if not isinstance(as_text, bool):
            raise RequestError(f"prompt.controls_as_text must be true or false, not {shown(as_text)}.")
        return cls(labels=tuple(labels), shots=shots, controls_as_text=as_text, **texts)

    def to_json(self) -> dict[str, Any]:
        """The same, as JSON-ready values. `controls_as_text` and `custom` are left out where they say nothing."""
        return {
            "template": self.template,
            "labels": list(self.labels),
            "shots": self.shots,
            "shots_from": self.shots_from,
            **({"controls_as_text": True} if self.controls_as_text else {}),
            **({"custom": self.custom} if self.custom else {}),
        }
