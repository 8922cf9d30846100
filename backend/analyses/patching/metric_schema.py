"""What `metric` takes: the one number that an effect is measured by. No torch."""

from typing import Any

from backend.contract.asked import Asked
from backend.contract.errors import RequestError, shown
from backend.contract.kinds import Label
from backend.contract.param import NEEDED, Param, Variant, Variants
from backend.contract.spec import By

LABEL = Param("label", Label(), "the label", usual="the right one; where none is right, the likeliest")
OTHER = Param("other", Label(), "the label that it is compared with", default=NEEDED)


def _of_label(values: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Of the right label where nothing else is said. Raises RequestError where the two labels are the same."""
    label = values["label"] if values["label"] is not None else asked.right
    if label is not None and label == values.get("other"):
        raise RequestError(f"label and other are both {shown(label)}. Choose two different labels.")
    return {**values, "label": label}


METRIC = Param(
    "metric",
    Variants(
        "metric",
        (
            Variant("logit_difference", "the label's logit minus the other's", (LABEL, OTHER), _of_label),
            Variant(
                "net_logit", "the label's logit minus the mean of the other labels'", (LABEL,), _of_label
            ),
            Variant("log_probability", "of the label's token, over the vocabulary", (LABEL,), _of_label),
            Variant("loss", "minus the log-probability", (LABEL,), _of_label),
            Variant("probability", "of the label's token, over the vocabulary", (LABEL,), _of_label),
            Variant("kl", "divergence of the labels' distribution from the clean run's"),
        ),
    ),
    "what an effect is measured by",
    default={"kind": "net_logit"},
)
UNITS = {
    "logit_difference": "logits",
    "net_logit": "logits",
    "log_probability": "nats",
    "loss": "nats",
    "probability": "probability",
    "kl": "nats",
}
OF_METRIC = By(("metric", "kind"), UNITS)
"""The unit of what is measured by the metric."""
