"""The table of formats. Each tells whether a table is of it, and reads one row.

Sources, for the names of fields only: the public releases of ARC (Clark et al. 2018), OpenBookQA (Mihaylov et al.
2018), CommonsenseQA (Talmor et al. 2019), MMLU (Hendrycks et al. 2021), MMLU-Redux (Gema et al. 2024), MMLU-Pro
(Wang et al. 2024), TruthfulQA (Lin et al. 2022) and MIB (Mueller et al. 2025).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.contract.errors import shown
from backend.contract.question import FIELDS, pairs_of
from backend.questions.formats.answers import LETTERS, index_of, missing
from backend.questions.formats.mib import mib
from backend.questions.formats.raw import Raw, at_label, labelled, subject_of, text, texts
from backend.questions.formats.table import RowError, Table

Cells = Mapping[str, Any]
NUMBERS = ("from-0", "from-1")


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes:
        title: for people, with the data sets that have it.
        fits: whether a table is of this format, told by its columns and first row.
        read: one row. Raises RowError where it is not usable.
        answers: the kinds of answer that `Raw.answer` may be; none where `read` gives the index.
        unanswered: whether a question without an answer is kept beside others that have one.
    """

    title: str
    fits: Callable[[Table], bool]
    read: Callable[[Cells], Raw]
    answers: tuple[str, ...] = ()
    unanswered: bool = False
    notes: tuple[str, ...] = ()


def _with(*names: str, without: tuple[str, ...] = (), **types: type) -> Callable[[Table], bool]:
    """Fits a table that has the columns `names`, none of `without`, and first cells of these types."""

    def fits(table: Table) -> bool:
        first = table.first()
        return (
            table.headed
            and {*names, *types} <= set(table.columns)
            and not set(without) & set(table.columns)
            and all(isinstance(first.get(name), kind) for name, kind in types.items())
        )

    return fits


def _ours_fits(table: Table) -> bool:
    return {"stem", "options"} <= set(table.columns) and {"stem", "options"} <= set(table.first())


def _ours(cells: Cells) -> Raw:
    unknown = sorted(name for name in cells if name not in FIELDS)
    if unknown:
        raise RowError(
            "unknown field",
            f"A question has no field {shown(unknown[0])}. Use {', '.join(FIELDS)}.",
        )
    subject, answer, options = cells.get("subject"), cells.get("answer"), texts(cells.get("options"))
    kind = "letter" if isinstance(answer, str) else "from-0"
    return Raw(
        text(cells.get("stem"), "stem"),
        options,
        index=None if missing(answer) else index_of(answer, options, kind),
        subject="" if subject is None else text(subject, "subject"),
        pairs=pairs_of(_present(cells.get("pairs") or {})),
    )


def _present(pairs: object) -> object:
    """Without the pairs that are null: in parquet every row has a place for each."""
    if not isinstance(pairs, Mapping):
        return pairs
    return {kind: pair for kind, pair in pairs.items() if pair is not None}


def _mmlu(cells: Cells) -> Raw:
    return Raw(
        text(cells.get("question"), "question"),
        texts(cells.get("choices"), "choices"),
        cells.get("answer"),
        subject=subject_of(cells, "subject"),
    )


def _mmlu_lines(cells: Cells) -> Raw:
    stem, *options, answer = list(cells.values())[:6]
    if any(not option.strip() for option in options):
        raise RowError("empty text", f"Option {[o.strip() for o in options].index('') + 1} is empty.")
    subject = subject_of(cells, "column 7")
    return Raw(text(stem, "question"), texts(options), answer, subject=subject)


def _mmlu_lines_fit(table: Table) -> bool:
    answer = table.first().get("column 6")
    letter = isinstance(answer, str) and answer.strip().upper() in tuple(LETTERS[:4])
    subjects = {str(row.cells.get("column 7", "")).strip().upper() for row in table.rows}
    five_options = subjects <= set(LETTERS)  # then the letter may as well be the one of the last column
    return not table.headed and letter and len(table.columns) in (6, 7) and not five_options


def _redux(cells: Cells) -> Raw:
    flag = cells.get("error_type")
    if flag != "ok":
        raise RowError(
            f"flagged {shown(flag, 40)}", f"The file flags this question: error_type {shown(flag)}."
        )
    return _mmlu(cells)


def _mmlu_pro(cells: Cells) -> Raw:
    options = list(texts(cells.get("options")))
    while options and options[-1].strip() == "N/A":  # the release fills up with these; they are no options
        options.pop()
    key, index = cells.get("answer"), cells.get("answer_index")
    if missing(key) and missing(index):
        found = None
    else:
        found = at_label(key, LETTERS[: len(options)])
        if found != index or isinstance(index, bool):
            raise RowError(
                "answers differ",
                f"answer {shown(key)} and answer_index {shown(index)} are not the same option.",
            )
    stem = text(cells.get("question"), "question")
    return Raw(stem, tuple(options), index=found, subject=subject_of(cells, "category"))


def _arc(cells: Cells) -> Raw:
    asked = cells.get("question")
    if not isinstance(asked, Mapping):
        raise RowError(
            "not an object", f"question must be an object with stem and choices, not {shown(asked)}."
        )
    labels, options = labelled(asked.get("choices"))
    return Raw(text(asked.get("stem"), "stem"), options, index=at_label(cells.get("answerKey"), labels))


def _arc_columns(cells: Cells) -> Raw:
    labels, options = labelled(cells.get("choices"))
    stem = text(cells.get("question", cells.get("question_stem")), "question")
    return Raw(stem, options, index=at_label(cells.get("answerKey"), labels))


def _arc_columns_fit(table: Table) -> bool:
    stems = (_with(question=str)(table), _with(question_stem=str)(table))
    return sum(stems) == 1 and _with("answerKey", without=("prompt",), choices=dict)(table)


def _truthful(cells: Cells) -> Raw:
    targets = cells.get("mc1_targets")
    if not isinstance(targets, Mapping):
        raise RowError("not an object", f"mc1_targets must be an object, not {shown(targets)}.")
    if set(targets) == {"choices", "labels"} and isinstance(targets["choices"], list):
        options, marks = texts(targets["choices"]), list(targets["labels"] or ())
    else:
        options, marks = tuple(text(option, "option") for option in targets), list(targets.values())
    right = [place for place, mark in enumerate(marks) if mark == 1 and not isinstance(mark, bool)]
    if len(right) != 1 or len(marks) != len(options):
        raise RowError(
            "not one right option", f"{len(right)} options are marked as right; exactly one must be."
        )
    stem = text(cells.get("question"), "question")
    return Raw(stem, options, index=right[0], subject=subject_of(cells, "category"))


REGISTRY: dict[str, Format] = {
    "letterheads": Format(
        "Our JSONL: stem, options, answer (from 0, or a letter), subject",
        _ours_fits,
        _ours,
        unanswered=True,
    ),
    "mmlu-csv": Format(
        "MMLU's CSV: question, four options, letter, no header", _mmlu_lines_fit, _mmlu_lines, ("letter",)
    ),
    "mmlu": Format(
        "MMLU of the hub: question, choices, answer",
        _with("answer", without=("error_type", "answerKey", "stem", "options"), question=str, choices=list),
        _mmlu,
        ("letter", *NUMBERS),
    ),
    "mmlu-redux": Format(
        "MMLU-Redux: as MMLU, with error_type",
        _with("answer", "error_type", question=str, choices=list),
        _redux,
        ("letter", *NUMBERS),
    ),
    "mmlu-pro": Format(
        "MMLU-Pro: question, options, answer, answer_index",
        _with("answer", "answer_index", question=str, options=list),
        _mmlu_pro,
    ),
    "arc": Format(
        "ARC, OpenBookQA, CommonsenseQA as released: question.stem, question.choices, answerKey",
        _with(question=dict),
        _arc,
    ),
    "arc-columns": Format(
        "ARC, OpenBookQA, CommonsenseQA of the hub: question, choices with labels, answerKey",
        _arc_columns_fit,
        _arc_columns,
    ),
    "truthfulqa": Format(
        "TruthfulQA, multiple choice: question, mc1_targets (the one right option)",
        _with(question=str, mc1_targets=dict),
        _truthful,
        notes=("TruthfulQA lists the right option first in every question: letters are not balanced.",),
    ),
    "mib": Format(
        "MIB: prompt, choices with labels, answerKey from 0",
        _with("answerKey", prompt=str, choices=dict),
        mib,
    ),
}
