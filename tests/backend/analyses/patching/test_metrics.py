import pytest
import torch

from backend.analyses.patching.metrics import VALUES, LabelLogits, chosen_metric
from backend.contract.metrics import METRICS, Metric


def test_metrics_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
    runs = LabelLogits(logits, logits.logsumexp(-1), logits[0])

    def value(**data: object) -> list[float]:
        return [round(float(part), 4) for part in chosen_metric(data, ("A", "B", "C"))(runs)]

    assert value(kind="logit_difference", label="A", other="C") == [1, 0]
    assert value(kind="net_logit", label="B") == [-1.5, 3]
    assert value(kind="probability", label="A") == pytest.approx([0.6652, 0.0453], abs=1e-4)
    assert value(kind="loss", label="A") == pytest.approx([0.4076, 3.0949], abs=1e-4)
    assert value(kind="log_probability", label="A") == pytest.approx([-0.4076, -3.0949], abs=1e-4)
    # sum p log(p / q) with p = softmax(2, 0, 1), q = softmax(0, 3, 0)
    assert value(kind="kl") == pytest.approx([0, 1.992], abs=1e-3)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_what_the_cards_say_of_a_metric_is_so(metric: Metric) -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [1.0, 1.5, 0.5]], requires_grad=True)
    logsumexp = logits.logsumexp(-1) if metric.vocabulary else None
    data = {"kind": metric.name, **dict(zip(metric.labels, "AC", strict=False))}
    values = chosen_metric(data, ("A", "B", "C"))(LabelLogits(logits, logsumexp, logits[0].detach()))
    # The third run lies half way between the others.
    assert (abs(values[2] - values[:2].mean()) < 1e-6) == metric.linear
    assert (values[0] < values[1]) == metric.less_is_better
    (gradient,) = torch.autograd.grad(values[0], logits)
    assert (gradient.abs().max() < 1e-6) == metric.flat_at_clean


def test_every_metric_is_computed() -> None:
    assert VALUES.keys() == METRICS.keys()
