"""One question with its options in every rotation, and the letter and option that the model predicts for each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import plotly.graph_objects as go

from app.figures.letters import letter_colour
from app.figures.style import Numbers, finish, plain
from backend.contract.question import Question


@dataclass(frozen=True)
class Rotation:
    """The question with its options rotated by `by` positions, and the letters' probabilities, `probs[label]`."""

    by: int
    probs: Numbers

    @property
    def letter(self) -> int:
        """The index of the predicted letter."""
        return int(np.argmax(self.probs))

    @property
    def option(self) -> int:
        """The index, in the original question, of the predicted option."""
        return (self.letter - self.by) % len(self.probs)

    def by_option(self) -> Numbers:
        """`probs[option]`, in the order of the original question.

        >>> Rotation(1, np.float32([0.7, 0.2, 0.1])).by_option().round(1).tolist()
        [0.20000000298023224, 0.10000000149011612, 0.699999988079071]
        """
        return np.asarray(np.roll(self.probs, -self.by), np.float32)


def rotated(question: Question, by: int) -> Question:
    """The question with option 0 at index `by`, and the others after it in their order.

    >>> rotated(Question("?", ("a", "b", "c"), 0), 1).options
    ('c', 'a', 'b')
    """
    count = len(question.options)
    options = tuple(question.options[(index - by) % count] for index in range(count))
    answer = None if question.answer is None else (question.answer + by) % count
    return replace(question, options=options, answer=answer)


def rotation_bars(rotations: Sequence[Rotation], labels: Sequence[str], options: Sequence[str]) -> go.Figure:
    """A bar for each rotation. Its pieces are the options in their original order, each in its letter's colour."""
    figure = go.Figure()
    names = [f"order {rotation.by + 1}" for rotation in rotations]
    for option, text in enumerate(options):
        letters = [(option + rotation.by) % len(labels) for rotation in rotations]
        shares = [float(rotation.by_option()[option]) for rotation in rotations]
        figure.add_bar(
            x=shares,
            y=names,
            orientation="h",
            name=plain(text),
            marker_color=[letter_colour(letter) for letter in letters],
            marker_line={"width": 1, "color": "rgba(127,127,127,.6)"},
            text=[
                f"{plain(labels[letter])}: {plain(text)}" if share > 0.2 else ""
                for letter, share in zip(letters, shares, strict=True)
            ],
            textposition="inside",
            insidetextanchor="middle",
            textfont={"color": "#ffffff"},
            constraintext="both",
            customdata=[plain(labels[letter]) for letter in letters],
            hovertemplate=f"%{{y}}: {plain(text)} stands at %{{customdata}}, %{{x:.4f}}<extra></extra>",
        )
    finish(
        figure,
        title="The same question with its options in other orders",
        x="probability among the labels",
        y="",
        height=110 + 34 * len(names),
    )
    figure.update_layout(barmode="stack", bargap=0.25)
    figure.update_xaxes(range=[0, 1], dtick=0.25, tickformat=".0%")
    figure.update_yaxes(autorange="reversed")
    return figure
