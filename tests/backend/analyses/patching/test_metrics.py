import pytest
import torch

from backend.analyses.patching.metrics import METRICS, Readings, chosen_metric


def test_metrics_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
    readings = Readings(logits, logits.logsumexp(-1), logits[0])

    def value(**data: object) -> list[float]:
        return [round(float(part), 4) for part in chosen_metric(data, ("A", "B", "C"))(readings)]

    assert value(kind="logit_difference", label="A", other="C") == [1, 0]
    assert value(kind="net_logit", label="B") == [-1.5, 3]
    assert value(kind="probability", label="A") == pytest.approx([0.6652, 0.0453], abs=1e-4)
    assert value(kind="loss", label="A") == pytest.approx([0.4076, 3.0949], abs=1e-4)
    assert value(kind="log_probability", label="A") == pytest.approx([-0.4076, -3.0949], abs=1e-4)
    # sum p log(p / q) with p = softmax(2, 0, 1), q = softmax(0, 3, 0)
    assert value(kind="kl") == pytest.approx([0, 1.992], abs=1e-3)
    assert set(METRICS) == {"logit_difference", "net_logit", "log_probability", "loss", "probability", "kl"}
