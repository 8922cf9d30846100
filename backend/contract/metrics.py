"""What an effect is measured by: one number computed from the labels' logits."""

from dataclasses import dataclass
from typing import Any

from backend.contract.asked import Asked
from backend.contract.errors import RequestError, shown
from backend.contract.kinds import Label
from backend.contract.param import NEEDED, Param, Variant

LABEL = Param("label", Label(), "the label", usual="the right one; where none is right, the likeliest")
OTHER = Param("other", Label(), "the label that it is compared with", default=NEEDED)


def _of_label(values: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """The right label where none is given. Raises RequestError where the two labels are the same."""
    label = values["label"] if values["label"] is not None else asked.right
    if label is not None and label == values.get("other"):
        raise RequestError(f"label and other are both {shown(label)}. Choose two different labels.")
    return {**values, "label": label}


@dataclass(frozen=True, kw_only=True)
class Metric(Variant):
    """One metric: its name and fields in requests, and in addition:

    Attributes:
        title: for people.
        unit: of its numbers.
        vocabulary: whether it needs the logits of the whole vocabulary.
        linear: whether it is linear in the labels' logits.
        less_is_better: whether a smaller number means that the model answers better.
        noise: a smaller difference of two runs is not taken for one: rounding to half precision alone makes as much.
        flat_at_clean: whether its derivative is zero at the clean run, as that of a distance from it.
    """

    title: str
    unit: str
    noise: float = 0.05
    vocabulary: bool = False
    linear: bool = False
    less_is_better: bool = False
    flat_at_clean: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the fields that hold a label.

        >>> METRICS["logit_difference"].labels, METRICS["kl"].labels
        (('label', 'other'), ())
        """
        return tuple(field.name for field in self.fields if isinstance(field.kind, Label))

    @property
    def one_question_only(self) -> bool:
        """Whether a label has to be given, which cannot be the same one for several questions."""
        return any(field.default is NEEDED for field in self.fields)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="net_logit",
            title="Net logit of the right letter",
            help="the label's logit minus the mean of the other labels'",
            fields=(LABEL,),
            rule=_of_label,
            unit="logits",
            linear=True,
        ),
        Metric(
            name="logit_difference",
            title="Logit difference to another letter",
            help="the label's logit minus the other's",
            fields=(LABEL, OTHER),
            rule=_of_label,
            unit="logits",
            linear=True,
        ),
        Metric(
            name="log_probability",
            title="Log-probability of the right letter",
            help="of the label's token, over the vocabulary",
            fields=(LABEL,),
            rule=_of_label,
            unit="nats",
            vocabulary=True,
        ),
        Metric(
            name="probability",
            title="Probability of the right letter",
            help="of the label's token, over the vocabulary",
            fields=(LABEL,),
            rule=_of_label,
            unit="probability",
            noise=0.01,
            vocabulary=True,
        ),
        Metric(
            name="loss",
            title="Loss",
            help="minus the log-probability",
            fields=(LABEL,),
            rule=_of_label,
            unit="nats",
            vocabulary=True,
            less_is_better=True,
        ),
        Metric(
            name="kl",
            title="KL divergence over the letters",
            help="divergence of the labels' distribution from the clean run's",
            unit="nats",
            noise=0.01,
            less_is_better=True,
            flat_at_clean=True,
        ),
    )
}
