"""Whether the difference between two runs is large enough for shares of it to be meaningful."""

from backend.contract.metrics import METRICS
from backend.contract.result import Result


def noise_of(result: Result) -> float:
    """Below this a difference of two runs is noise, in the metric's unit.

    The largest of: the limit of the result's check against whole passes, which follows from the model's precision;
    the metric's own `noise`; over several corrupted prompts the standard error of their mean.
    """
    metric = METRICS[result.scalars["metric"]]
    found = [metric.noise, result.checks.get("oracle_error", (0.0, 0.0))[1]]
    values = [draw["corrupted"] for draw in result.scalars.get("draws", ())]
    if len(values) > 1:
        mean = sum(values) / len(values)
        found.append((sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)) ** 0.5)
    return max(found)


def shares_hold(result: Result) -> bool:
    """Whether each corrupted run differs from the clean one by more than noise.

    With several corrupted prompts the shares are means, which one of them with no difference would decide.
    """
    scalars, noise = result.scalars, noise_of(result)
    ends = [draw["corrupted"] for draw in scalars.get("draws", ())] or [scalars["corrupted"]]
    return all(abs(scalars["clean"] - end) > noise for end in (*ends, scalars["corrupted"]))


def answers_better(result: Result) -> bool:
    """Whether the corrupted run scores better than the clean one, so that there is no answer to bring back."""
    scalars = result.scalars
    worse = scalars["clean"] - scalars["corrupted"]
    return bool((-worse if METRICS[scalars["metric"]].less_is_better else worse) < 0)
