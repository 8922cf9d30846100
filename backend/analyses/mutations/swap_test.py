"""What a head's query asks for, the n-th item or a letter: a query put where the two are different places.

A prompt whose labels stand in their usual order gives the query: in it the right label is the n-th and has a letter.
Another prompt, whose labels are shuffled, takes it: there the n-th label has another letter, and the letter is at
another place. The index of a question is (attention to the place - attention to the letter) / (their sum): 1 where the
head follows the n-th item, -1 where it follows the letter. The test is ours. It asks what Lieberum et al. 2023 ask
in section 4; they find that the n-th item explains a head's queries and keys "at least to some extent".
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
from backend.analyses.subspace.exchange import patched
from backend.analyses.subspace.head_inputs import HeadInputs, Options, collected, enough, read_with
from backend.analyses.subspace.questions_told import told, wrong
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
    """Which query goes where.

    Attributes:
        donor: the question whose query is taken, its labels in their usual order.
        order: for each place of the taking prompt the index of its label in the usual order.
        place: the donor's right place.
        letter: the place at which the donor's right letter stands in the taking prompt.
    """

    donor: HeadInputs
    order: tuple[int, ...]
    place: int
    letter: int


def swap_for(number: int, right: int, donors: list[HeadInputs], seed: int) -> Swap | None:
    """A donor with another right place, and an order of labels; None where no donor has.

    No label stands at its usual place, and the donor's right letter not at the taking question's right place.
    """
    drawn = random.Random(f"{seed}:{number}")
    apart = [donor for donor in donors if donor.right != right]
    if not apart:
        return None
    donor = drawn.choice(apart)
    order = list(range(len(donor.positions)))
    while any(label == place for place, label in enumerate(order)) or order[right] == donor.right:
        drawn.shuffle(order)
    return Swap(donor, tuple(order), donor.right, order.index(donor.right))


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """The swap test of one head.

    Arrays over `question`: `follows_place`, `follows_letter`: attention, as a share of that to all labels, to the
    donor's place and to its letter; `before_place`, `before_letter`: the same with the prompt's own query;
    `answer_place`, `answer_letter`: the rise of these labels' logits against the mean of all labels.
    """
    options = Options.of(instrument, SWAP_TEST.values(task.request))
    rotations = Rotations(instrument, options.head.layer)
    donors, left_out = collected(instrument, task, options, progress)
    usable = [donor for donor in donors if len(donor.positions) >= LEAST_OPTIONS]
    enough(usable, left_out, 2, "a swap between questions of three options or more")
    swaps = {donor.number: swap_for(donor.number, donor.right, usable, options.seed) for donor in usable}
    prompts = {
        number: _shuffled(instrument, task, number, swap.order) for number, swap in swaps.items() if swap
    }
    rows: list[dict[str, float]] = []
    for number, prompt in prompts.items():
        within = at_question(progress, len(rows), len(prompts))
        one = replace(task, questions=(task.questions[number],), shots=(task.shots[number],))
        (taking,), _ = collected(instrument, one, replace(options, keep="all"), within, [prompt])
        swap = swaps[number]
        assert swap is not None  # those have no prompt
        rows.append(_row(instrument, taking, swap, options, rotations, within, int(len(rows) < RECHECKED)))
    if len(rows) < len(usable):
        reason = "no other question has its right option at another place"
        asked = [donor.number for donor in usable if donor.number not in prompts]
        left_out += [{"stem": task.questions[number].stem, "reason": reason} for number in asked]
    swapped = [donor for donor in usable if donor.number in prompts]
    enough(swapped, left_out, 2, "a swap between questions with different right places")
    table = {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}
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
            "head": str(options.head),
            "index": index,
            "low": low,
            "high": high,
            "sentence": sentence(options.head, index, low, high),
            "answer_place": float(table["answer_place"].mean()),
            "answer_letter": float(table["answer_letter"].mean()),
            "kept": len(swapped),
            "wrong": wrong(swapped),
            "questions": told(task, swapped),
            "left_out": left_out,
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


def _row(
    instrument: Instrument,
    taking: HeadInputs,
    swap: Swap,
    options: Options,
    rotations: Rotations,
    progress: Progress,
    rechecked: int,
) -> dict[str, float]:
    trace = instrument.trace(taking.prompt.token_ids, progress)
    queries = torch.stack([taking.q, swap.donor.q])
    read = read_with(trace, taking, options.head, rotations, queries, taking.k[None], taking.v[None])
    before, after = _shares(read.attention[:, list(taking.positions)])
    outcome = patched(instrument, taking, {options.head: read.z}, progress, rechecked)
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
        "own_query": largest_share(read.z[0], taking.z),
        "oracle": outcome.oracle_error,
    }


def _shares(attention: Float[Tensor, "case label"]) -> Float[Tensor, "case label"]:
    return attention / attention.sum(1, keepdim=True).clamp_min(1e-12)


def sentence(head: HeadRef, index: float, low: float, high: float) -> str:
    """How to read the index.

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
