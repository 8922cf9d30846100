"""Whether a head's query asks for the n-th item or for a letter: a query is moved to where the two differ.

Example: the donor's labels are A B C D and its right option is the second, so its query asks for "the second item" or
for "B". The recipient's labels are shuffled to D A B C. With the donor's query the head attends to the second label, A
(it follows the place), or to the third, B (it follows the letter). The index of a question is
(attention to the place - attention to the letter) / (their sum): 1 follows the place, -1 the letter. The test is ours.
It asks what Lieberum et al. 2023 ask in section 4; they find that the n-th item explains a head's queries and keys "at
least to some extent".
"""

import random
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from backend.analyses.findings import array
from backend.analyses.intervals import mean_interval
from backend.analyses.mutations.schema import SWAP_TEST
from backend.analyses.over_questions import at_question
from backend.analyses.subspace.compression import RECHECKED
from backend.analyses.subspace.head_inputs import HeadInputs, HeadRow, Options, collect, require_questions
from backend.analyses.subspace.question_records import count_wrong, question_records
from backend.analyses.subspace.replaced_outputs import run_replaced
from backend.analyses.task import Findings, Task
from backend.analyses.tolerance import largest_share, tolerance
from backend.contract.head import HeadRef
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.engine.rotation import Rotations
from backend.questions.prompt import Prompt

CLEAR = 0.5
LEAST_OPTIONS = 3


@dataclass(frozen=True)
class Swap:
    """The donor and the labels of the recipient.

    Attributes:
        donor: the question whose query is used; its labels are in their usual order.
        order: for each option of the recipient the index of its label in the usual order.
        place: the index of the donor's right option.
        letter: the index of the recipient's option that has the donor's right letter.
    """

    donor: HeadInputs
    order: tuple[int, ...]
    place: int
    letter: int


def swap_for(number: int, right: int, donors: list[HeadInputs], seed: int) -> Swap | None:
    """A donor whose right option has another index, and an order of labels; None where there is no such donor.

    No label is at its usual index, and the donor's right letter is not at the recipient's right option.
    """
    drawn = random.Random(f"{seed}:{number}")
    apart = [donor for donor in donors if donor.right != right]
    if not apart:
        return None
    donor = drawn.choice(apart)
    order = list(range(len(donor.positions)))
    while any(label == option for option, label in enumerate(order)) or order[right] == donor.right:
        drawn.shuffle(order)
    return Swap(donor, tuple(order), donor.right, order.index(donor.right))


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The swap test of one head.

    Arrays over `question`: `follows_place`, `follows_letter`: attention to the donor's place and to its letter, as a
    share of the attention to all labels; `before_place`, `before_letter`: the same with the recipient's own query;
    `answer_place`, `answer_letter`: how much these labels' logits rise, minus the mean rise of all labels.
    """
    options = Options.of(instrument, SWAP_TEST.values(task.request))
    rotations = Rotations(instrument, options.head.layer)
    donors, left_out = collect(instrument, task, options, progress)
    usable = [donor for donor in donors if len(donor.positions) >= LEAST_OPTIONS]
    require_questions(usable, left_out, 2, "a swap between questions of three options or more")
    swaps = {donor.number: swap_for(donor.number, donor.right, usable, options.seed) for donor in usable}
    prompts = {
        number: _shuffled(instrument, task, number, swap.order) for number, swap in swaps.items() if swap
    }
    rows: list[dict[str, float]] = []
    for number, prompt in prompts.items():
        within = at_question(progress, len(rows), len(prompts))
        one = replace(task, questions=(task.questions[number],), shots=(task.shots[number],))
        (recipient,), _ = collect(instrument, one, replace(options, keep="all"), within, [prompt])
        swap = swaps[number]
        assert swap is not None  # those have no prompt
        trace = instrument.trace(prompt.token_ids, within)
        row = HeadRow(trace, recipient, options.head, rotations)
        rows.append(_figures(instrument, row, swap, within, int(len(rows) < RECHECKED)))
    swapped = [donor for donor in usable if donor.number in prompts]
    alone = [donor.number for donor in usable if donor.number not in prompts]
    reason = "no other question has its right option at another place"
    left_out += [{"stem": task.questions[number].stem, "reason": reason} for number in alone]
    require_questions(swapped, left_out, 2, "a swap between questions with different right places")
    table = {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}
    found = _findings(instrument, options.head, table)
    used = {
        "kept": len(swapped),
        "wrong": count_wrong(swapped),
        "questions": question_records(task, swapped),
        "left_out": left_out,
    }
    return replace(found, scalars={**found.scalars, **used})


def _findings(
    instrument: Instrument, head: HeadRef, table: dict[str, Float[Tensor, " question"]]
) -> Findings:
    """Arrays, index and checks from the figures of every question."""
    index, low, high = (float(end) for end in mean_interval(table["index"].numpy()))
    shares = ("follows_place", "follows_letter", "before_place", "before_letter")
    return Findings(
        arrays={
            **{name: array(table[name], ("question",), "share") for name in shares},
            **{
                name: array(table[name], ("question",), "logits")
                for name in ("answer_place", "answer_letter")
            },
            "index_by_question": array(table["index"], ("question",), "index"),
        },
        scalars={
            "head": str(head),
            "index": index,
            "low": low,
            "high": high,
            "sentence": sentence(head, index, low, high),
            "answer_place": float(table["answer_place"].mean()),
            "answer_letter": float(table["answer_letter"].mean()),
        },
        checks={
            "own_query_error": (float(table["own_query"].max()), tolerance(instrument).activations),
            "oracle_error": (float(table["oracle"].max()), tolerance(instrument).logits),
        },
    )


def _shuffled(instrument: Instrument, task: Task, number: int, order: tuple[int, ...]) -> Prompt:
    usual = task.request.prompt
    spec = replace(usual, labels=tuple(usual.labels[label] for label in order))
    return instrument.prompt(task.questions[number], spec, task.shots[number])


def _figures(
    instrument: Instrument, row: HeadRow, swap: Swap, progress: Progress, rechecked: int
) -> dict[str, float]:
    """One question's figures, with its own query and with the donor's."""
    recipient = row.inputs
    queries = torch.stack([recipient.q, swap.donor.q])
    output = row.output(queries, recipient.k[None], recipient.v[None])
    before, after = _shares(output.attention[:, list(recipient.positions)])
    outcome = run_replaced(instrument, recipient, {row.head: output.z}, progress, rechecked)
    rise = outcome.logits[1] - outcome.logits[0]
    rise = rise - rise.mean()
    place, letter = swap.place, swap.letter
    return {
        "follows_place": float(after[place]),
        "follows_letter": float(after[letter]),
        "before_place": float(before[place]),
        "before_letter": float(before[letter]),
        "index": float((after[place] - after[letter]) / (after[place] + after[letter]).clamp_min(1e-12)),
        "answer_place": float(rise[place]),
        "answer_letter": float(rise[letter]),
        "own_query": largest_share(output.z[0], recipient.z),
        "oracle": outcome.oracle_error,
    }


def _shares(attention: Float[Tensor, "case label"]) -> Float[Tensor, "case label"]:
    """Attention to each label as a share of the attention to all labels."""
    return attention / attention.sum(1, keepdim=True).clamp_min(1e-12)


def sentence(head: HeadRef, index: float, low: float, high: float) -> str:
    """The index in words.

    >>> sentence(HeadRef(16, 7), -0.8, -0.9, -0.7)
    'L16H7 follows the letter: index -0.80 (-0.90 to -0.70; 1 is the n-th item, -1 the letter).'
    """
    if low > 0:
        follows = "follows the n-th item" if index > CLEAR else "leans to the n-th item"
    elif high < 0:
        follows = "follows the letter" if index < -CLEAR else "leans to the letter"
    else:
        follows = "is not seen to prefer the n-th item or the letter"
    return (
        f"{head} {follows}: index {index:.2f} ({low:.2f} to {high:.2f}; 1 is the n-th item, -1 the letter)."
    )
