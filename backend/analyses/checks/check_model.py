"""Go or no-go: does this model answer by letter at all, and does it know the answers by content?

Lieberum et al. 2023: only the 70B model answered MMLU by letter; the 7B was at chance by letter, above it by content.
The tests' definitions are ours: label accuracy is whether the right label has the highest logit among the labels;
content accuracy whether the right option's own text has the highest mean token log-probability after `Answer:`.
A model that says the same letter whatever is asked is right as often as that letter is: chance by letter is what the
letters predicted would bring if they had nothing to do with the questions (the expected agreement of Cohen 1960), and
no less than one in as many as there are options.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from backend.analyses.findings import array
from backend.analyses.intervals import as_scalar, mean_interval, share_interval
from backend.analyses.over_questions import answered, each_prompt
from backend.analyses.task import Findings, Task
from backend.contract.errors import QuestionError
from backend.contract.progress import Progress
from backend.contract.question import Question
from backend.engine.instrument import Instrument
from backend.engine.log_probability import log_probabilities
from backend.engine.model_pass import between_layers, some_unembedded
from backend.models.placement import device_of
from backend.questions.encoding import encode
from backend.questions.prompt import Prompt
from backend.questions.templates import REGISTRY

OPEN_BRACKET = " ("
JOINED = (
    "This tokenizer joins the end of the prompt with the option's text, so the content cannot be scored. "
    "Choose another template."
)


@dataclass(frozen=True)
class _Answer:
    right: int
    by_label: int
    content_scores: list[float]
    loss: float

    @property
    def by_content(self) -> int:
        """The option whose text is likeliest."""
        return int(np.argmax(self.content_scores))


def run(instrument: Instrument, task: Task, progress: Progress) -> Findings:
    """Accuracy by label and by content, loss, and the share of each letter predicted, with 95 % intervals."""
    answers = []
    special = not REGISTRY[task.request.prompt.template].chat
    prompts = each_prompt(instrument, task, progress)
    for question, (prompt, within) in zip(task.questions, prompts, strict=True):
        with between_layers(instrument.model, instrument.family, within):
            answers.append(_answer(instrument, question, prompt, special=special))
    labels = task.request.prompt.labels[: max(len(question.options) for question in task.questions)]
    count = len(answers)
    by_label = share_interval(sum(answer.by_label == answer.right for answer in answers), count)
    by_content = share_interval(sum(answer.by_content == answer.right for answer in answers), count)
    losses = np.array([answer.loss for answer in answers])
    predicted = _shares([answer.by_label for answer in answers], len(labels))
    right = _shares([answer.right for answer in answers], len(labels))
    chance = float(np.mean([1 / len(question.options) for question in task.questions]))
    chance_by_label = max(chance, float(predicted @ right))
    go = by_label[1] > chance_by_label
    return Findings(
        arrays={
            "letters_predicted": array(predicted, ("label",), "share"),
            "letters_right": array(right, ("label",), "share"),
            "loss_by_question": array(losses, ("question",), "nats"),
            "label_correct": array(
                np.array([answer.by_label == answer.right for answer in answers]), ("question",), "0 or 1"
            ),
            "content_correct": array(
                np.array([answer.by_content == answer.right for answer in answers]), ("question",), "0 or 1"
            ),
        },
        ticks={"label": labels},
        scalars={
            "count": count,
            "chance": chance,
            "chance_by_label": chance_by_label,
            "label_accuracy": as_scalar(by_label),
            "content_accuracy": as_scalar(by_content),
            "loss": as_scalar(mean_interval(losses)),
            "go": go,
            "verdict": _verdict(by_label, by_content, chance_by_label, chance, count),
        },
    )


def _answer(instrument: Instrument, question: Question, prompt: Prompt, *, special: bool) -> _Answer:
    """Both ways of asking from one pass over the prompt: the options go on from its cached keys and values."""
    right = answered(prompt)
    stem = prompt.text.removesuffix(OPEN_BRACKET)
    prefix = encode(instrument.tokenizer, stem, special=special, markup=prompt.markup).ids
    if prompt.token_ids[: len(prefix)] != prefix:
        raise QuestionError(JOINED)
    cache = DynamicCache()
    logprobs = _continue(instrument, prompt.token_ids, cache, keep=len(prompt.token_ids) - len(prefix) + 1)
    scores = []
    for option in question.options:
        longer = encode(instrument.tokenizer, f"{stem} {option}", special=special, markup=prompt.markup).ids
        if longer[: len(prefix)] != prefix or len(longer) == len(prefix):
            raise QuestionError(JOINED)
        own = longer[len(prefix) :]
        rows = logprobs[:1]
        if len(own) > 1:
            cache.crop(len(prefix) - cache.get_seq_length())
            rows = torch.cat([rows, _continue(instrument, own[:-1], cache, keep=len(own) - 1)])
        scores.append(float(rows[range(len(own)), list(own)].mean()))
    by_label = logprobs[-1, list(prompt.answer_ids)]
    return _Answer(right, int(by_label.argmax()), scores, -float(by_label[right]))


def _continue(
    instrument: Instrument, token_ids: tuple[int, ...], cache: DynamicCache, keep: int
) -> Float[Tensor, "position vocabulary"]:
    """Run some more tokens onto the cache; log-probabilities, in nats, at the last `keep` of them."""
    device = device_of(instrument.model.get_input_embeddings())
    with torch.no_grad(), some_unembedded(instrument.model, instrument.family):
        ids = torch.tensor([token_ids], device=device)
        logits = instrument.model(ids, past_key_values=cache, use_cache=True, logits_to_keep=keep).logits[0]
    return log_probabilities(logits.float().cpu())


def _shares(indices: list[int], labels: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.bincount(indices, minlength=labels) / len(indices)


def _verdict(
    by_label: tuple[float, float, float],
    by_content: tuple[float, float, float],
    chance_by_label: float,
    chance: float,
    count: int,
) -> str:
    interval = f"{by_label[1]:.0%} to {by_label[2]:.0%}"
    shown = f"{by_label[0]:.0%} right by letter ({interval}, {count} questions, chance {chance_by_label:.0%})"
    if by_label[1] > chance_by_label:
        return f"Go: it answers {shown}, above chance. There is a circuit to look for."
    if by_content[1] > chance:
        return (
            f"No go by letter: it answers {shown}, not above chance, though it ranks the right content first in "
            f"{by_content[0]:.0%}. What its heads write for letters does not carry the answer."
        )
    return f"No go: it answers {shown}, not above chance, nor by content. Try a larger model or easier questions."
