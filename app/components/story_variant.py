"""Story, sixth section: the question with two options swapped or its letters moved, and what each head follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from app.components.job import result_of
from app.components.notice import cut, quiet
from app.components.story_looks import listed
from app.components.story_parts import Answer, Parts, how_sure, page_link, tell
from app.components.story_turn import label_turned_to
from app.figures.gaze import looks_at, on_labels
from app.figures.labels import probability_bars
from app.navigation import STORY_PAGE
from app.state import bound
from backend.contract.client import Client
from backend.contract.head import HeadRef
from backend.contract.prompt import PromptSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.contract.result import Result

AS_ASKED = "asked"
NOTHING = "none of them"
Shares = NDArray[np.float32]
"""A head's attention to each label's token."""


@dataclass(frozen=True)
class Variant:
    """The same question in another form.

    Attributes:
        told: which form, in words that follow "With".
        content: the place in the list where the option said now stands.
        means: what a head follows that looks at the label at this place.
    """

    told: str
    question: Question
    labels: tuple[str, ...]
    content: int
    means: Mapping[int, str]

    def followed(self, after: Shares) -> str:
        """What a head follows with this attention to the labels, if it looked at the label said before."""
        now = looks_at(after)
        return NOTHING if now is None else self.means.get(now, NOTHING)

    def seen(self, after: Shares) -> str:
        """The label that a head looks at with this attention to the labels."""
        now = looks_at(after)
        return "no label" if now is None else f"{self.labels[now]} ({float(after[now]):.0%})"


def swapped(answer: Answer, to: int) -> Variant:
    """The options at the place said and at `to` swapped."""
    question, said = answer.selection.question, answer.place
    labels = answer.selection.labels
    return Variant(
        f"options {labels[said]} and {labels[to]} swapped",
        question.swapped(said, to),
        labels,
        content=to,
        means={to: "the content", said: "place and letter"},
    )


def moved_on(answer: Answer) -> Variant:
    """Each option has the next one's letter, the last one the first."""
    labels, said = answer.selection.labels, answer.place
    return Variant(
        "each letter moved up by one option",
        answer.selection.question,
        labels[1:] + labels[:1],
        content=said,
        means={said: "content and place", (said - 1) % len(labels): "the letter"},
    )


def variant_parts(
    variant: Variant, answer: Answer, prediction: Result, followed: Mapping[HeadRef, str]
) -> Parts:
    """What the model says now, and what each head follows."""
    letter = str(prediction.scalars["predicted"])
    place = variant.labels.index(letter)
    option = cut(variant.question.options[place], 60)
    kept = "the same option" if place == variant.content else "another option"
    told = ""
    for what in dict.fromkeys(followed.values()):
        names = [str(head) for head, one in followed.items() if one == what]
        told += f" {listed(names)} {'follows' if len(names) == 1 else 'follow'} {what}."
    return (f"With {variant.told} the model says ", f"{letter}, {option}", f": {kept} as before.{told}")


def _ask(variant: Variant, answer: Answer, analysis: str) -> Request:
    selection = answer.selection
    rest = tuple(label for label in selection.prompt.labels if label not in variant.labels)
    prompt: PromptSpec = replace(selection.prompt, labels=variant.labels + rest)
    return Request.build(analysis, model=selection.model, prompt=prompt, question=variant.question)


def show_variant(client: Client, answer: Answer, heads: Sequence[HeadRef], attention: Result) -> None:
    """Draw the buttons; and for the form chosen the letters, and a table of what each head follows."""
    labels, to = answer.selection.labels, label_turned_to(answer)
    titles = {
        AS_ASKED: "As asked",
        "swapped": f"Options {answer.said} and {to} swapped",
        "letters": "Letters moved on by one",
    }
    picked = answer.selection.chosen.variant
    st.segmented_control(
        "Or change the question, and see which heads follow",
        list(titles),
        format_func=titles.__getitem__,
        required=True,
        **bound("variant", picked),
    )
    if picked == AS_ASKED:
        return
    variant = swapped(answer, labels.index(to)) if picked == "swapped" else moved_on(answer)
    start = answer.start("Run it", passes=2)
    prediction = result_of(client, _ask(variant, answer, "prediction"), "variant", start=start)
    if prediction is None:
        return
    changed = result_of(client, _ask(variant, answer, "attention"), "variant heads", start="")
    if changed is None:
        return
    _show_changed(variant, answer, prediction, _looked(answer, heads, attention, changed))
    how_sure(
        "variant",
        [prediction, changed],
        "A head looks at a label if at least 20% of its attention from the last token is on it, and no other label "
        "gets more. One question in one other form: over many questions see the page Mutations.",
    )


def _show_changed(
    variant: Variant,
    answer: Answer,
    prediction: Result,
    looked: Mapping[HeadRef, tuple[Shares, Shares]],
) -> None:
    """Draw what is said in this form. `looked`: each head's attention to the labels as asked, and now."""
    followed = {head: variant.followed(after) for head, (_, after) in looked.items()}
    tell(variant_parts(variant, answer, prediction, followed), "variant told")
    right = variant.question.answer
    figure = probability_bars(
        prediction["label_probs"],
        variant.labels,
        variant.question.options,
        None if right is None else variant.labels[right],
    )
    st.plotly_chart(figure, key="variant bars", alt="Bars of the labels' probabilities")
    if followed:
        table = [
            {
                "head": str(head),
                "looked at": f"{answer.said} ({float(before[answer.place]):.0%})",
                "now looks at": variant.seen(after),
                "follows": followed[head],
            }
            for head, (before, after) in looked.items()
        ]
        st.dataframe(pd.DataFrame(table), hide_index=True)
    else:
        quiet(f"No head shown here looked at the label {answer.said}, so none can follow.", "none follow")
    page_link(
        STORY_PAGE,
        "The whole story of this form",
        ":material/auto_stories:",
        answer.address(
            question=variant.question, labels=" ".join(variant.labels), variant=AS_ASKED, hidden=(), kept=()
        ),
    )


def _looked(
    answer: Answer, heads: Sequence[HeadRef], attention: Result, changed: Result
) -> dict[HeadRef, tuple[Shares, Shares]]:
    """Attention to the labels as asked and changed, of the heads that look at the label said as asked."""
    count = len(answer.selection.labels)
    shares = {
        head: [on_labels(one["final"], one.scalars["roles"], head, count) for one in (attention, changed)]
        for head in heads
    }
    return {
        head: (before, after) for head, (before, after) in shares.items() if looks_at(before) == answer.place
    }
