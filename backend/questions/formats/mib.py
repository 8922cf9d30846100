"""Rows of MIB (Mueller et al. 2025): a prompt that lists its options, and counterfactual prompts beside it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from backend.contract.errors import shown
from backend.contract.question import Pair
from backend.questions.formats.raw import Raw, labelled, text
from backend.questions.formats.table import RowError

MIB_PAIRS = {
    "answerPosition_counterfactual": "position",
    "randomLetter_counterfactual": "letter",
    "answerPosition_randomLetter_counterfactual": "both",
}


def mib(cells: Mapping[str, Any]) -> Raw:
    """A row, with its counterfactuals as pairs. Labels of a pair that are the row's own are those of the prompt."""
    labels, raw = _prompt(cells)
    pairs = []
    for name, kind in MIB_PAIRS.items():
        if cells.get(name) is not None:
            if not isinstance(cells[name], Mapping):
                raise RowError("not an object", f"{name} must be an object, not {shown(cells[name])}.")
            others, other = _prompt(cells[name])
            pairs.append(Pair(kind, other.question(other.index), () if others == labels else others))
    return replace(raw, pairs=tuple(pairs))


def _prompt(cells: Mapping[str, Any]) -> tuple[tuple[str, ...], Raw]:
    """Its labels, and the question: the prompt lists the options itself, its text before them is the stem."""
    labels, options = labelled(cells.get("choices"))
    listed = "".join(f"\n{label}. {option}" for label, option in zip(labels, options, strict=True))
    prompt = text(cells.get("prompt"), "prompt")
    stem, found, _ = prompt.partition(listed)
    if not found or not listed:
        raise RowError(
            "prompt without its options", f"The prompt does not list its choices: {shown(prompt)}."
        )
    key = cells.get("answerKey")
    if type(key) is not int or not 0 <= key < len(options):
        raise RowError(
            "answer outside the options",
            f"The answer {shown(key)} is not an index of {len(options)} options.",
        )
    return labels, Raw(stem.removeprefix("Question:").strip(), options, index=key)
