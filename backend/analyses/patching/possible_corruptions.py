"""Which corruptions a question can have. Prompts are made; the model runs only to find the likeliest label."""

from typing import Any

from backend.analyses.findings import prompt_scalars
from backend.analyses.patching.corruptions import Clean, corrupted
from backend.analyses.patching.pairs import clean_of
from backend.analyses.patching.schema import POSSIBLE_CORRUPTIONS
from backend.analyses.task import Findings, Task
from backend.contract.corruptions import CORRUPTIONS
from backend.contract.errors import LetterheadsError
from backend.contract.kinds import BankName
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Each corruption tried once, with seed 0. A text of one's own is not tried."""
    (prompt,) = task.prompts(instrument)
    values = POSSIBLE_CORRUPTIONS.values(task.request)
    label = values["label"] or (None if prompt.answer is None else prompt.labels[prompt.answer])
    letter = prompt.labels.index(label) if label else clean_of(instrument, task, 0, prompt, progress).letter
    clean = Clean(task.questions[0], task.request.prompt, task.shots[0], prompt, letter)
    tried = [
        _tried(instrument, clean, name, values["bank"])
        for name, corruption in CORRUPTIONS.items()
        if not corruption.one_question_only
    ]
    return Findings(scalars={**prompt_scalars(prompt), "corruptions": tried})


def _tried(instrument: Instrument, clean: Clean, kind: str, bank: str) -> dict[str, Any]:
    data: dict[str, Any] = {"kind": kind, "seed": 0}
    if any(isinstance(field.kind, BankName) for field in CORRUPTIONS[kind].fields):
        data["bank"] = bank
    try:
        made = corrupted(instrument, clean, data)
    except LetterheadsError as error:
        return {"kind": kind, "possible": False, "says": str(error)}
    return {"kind": kind, "possible": True, "says": made.note}
