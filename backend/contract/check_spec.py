"""The check figures of an analysis: what each compares with what, and its limit by the precision of the weights."""

from dataclasses import dataclass

from backend.contract.spec import ALWAYS, When


@dataclass(frozen=True)
class Limit:
    """An upper limit for weights in float32, in half precision, and quantized."""

    float32: float
    half: float
    quantized: float
    unit: str

    @property
    def says(self) -> str:
        """The three limits and their unit.

        >>> Limit(1e-3, 0.25, 0.25, "logits").says
        '0.001 / 0.25 / 0.25 logits'
        """
        return f"{self.float32:g} / {self.half:g} / {self.quantized:g} {self.unit}"


LOGITS = Limit(1e-4, 0.125, 0.125, "logits")
IDENTITY = Limit(1e-3, 0.25, 0.25, "logits")
# Half precision has 8 (bfloat16) or 11 (float16) bits for each activation, and each layer rounds again: 0.004 was seen.
# LLM.int8 also quantizes a layer's input, so a head's write differs a little when it is taken alone: 0.03 was seen.
ACTIVATIONS = Limit(1e-4, 1e-2, 1e-1, "of the largest value")


@dataclass(frozen=True)
class CheckSpec:
    """One check figure: the largest difference between two computations of the same values.

    Attributes:
        meaning: which two computations.
        limit: where it is over this, pages do not show the result.
        when: when the result has it.
    """

    name: str
    meaning: str
    limit: Limit
    when: When = ALWAYS


def oracle_error(when: When = ALWAYS) -> CheckSpec:
    """Of everything that patches."""
    meaning = "a few patched runs against whole forward passes of the unmodified model with hooks"
    return CheckSpec("oracle_error", meaning, LOGITS, when)


def identity_error(when: When = ALWAYS) -> CheckSpec:
    """Of attributions."""
    return CheckSpec(
        "identity_error", "the sum of all attributions against the centred logits", IDENTITY, when
    )


def pattern_error(when: When = ALWAYS) -> CheckSpec:
    """Of attention patterns."""
    return CheckSpec("pattern_error", "pattern times values against each head's output", ACTIVATIONS, when)


def additivity_error(when: When = ALWAYS) -> CheckSpec:
    """Of effects under a frozen norm."""
    meaning = "the interaction under a frozen norm against 0, for a metric linear in the logits"
    return CheckSpec("additivity_error", meaning, IDENTITY, when)


def lens_error() -> CheckSpec:
    """Of the logit lens."""
    return CheckSpec("lens_error", "the lens after the last layer against the model's own logits", LOGITS)


def full_rank_error() -> CheckSpec:
    """Of projections."""
    meaning = "queries and keys projected onto all dimensions against the unprojected ones"
    return CheckSpec("full_rank_error", meaning, ACTIVATIONS)


def own_error(what: str) -> CheckSpec:
    """Of a head run again with a `key` or `query` put into it."""
    meaning = f"the head's output with its own {what} put into it against its output in the unmodified run"
    return CheckSpec(f"own_{what}_error", meaning, ACTIVATIONS)
