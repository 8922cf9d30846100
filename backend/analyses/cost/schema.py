"""What `cost` takes and gives. No torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from backend.contract.analysis import Analysis, Lazy
from backend.contract.asked import Asked
from backend.contract.errors import RequestError, shown
from backend.contract.kinds import Word
from backend.contract.param import NEEDED, Param, given_only
from backend.contract.request import Request
from backend.contract.spec import ScalarSpec


class AnyObject:
    """An object, checked by the analysis that it is for."""

    says = "an object"

    def read(self, where: str, value: object, asked: Asked) -> dict[str, Any]:
        """The same. Raises RequestError."""
        if not isinstance(value, Mapping):
            raise RequestError(f"{where} must be {self.says}, not {shown(value)}.")
        return dict(value)


def asked_about(request: Request) -> Request:
    """The request whose cost this one asks for."""
    fields = {part: getattr(request, part) for part in ("model", "question", "questions", "prompt")}
    return Request.build(request.params["analysis"], params=request.params.get("params", {}), **fields)


def cost_of(analyses: Sequence[Analysis]) -> Analysis:
    """The analysis that tells what each of these takes."""
    by_name = {analysis.name: analysis for analysis in analyses}

    def checked(asked: Asked, values: dict[str, Any]) -> dict[str, Any]:
        other = by_name[values["analysis"]]
        inner = other.values(asked_about(asked.request), asked.questions)
        return {**values, "params": given_only(inner)}

    return Analysis(
        name="cost",
        version=3,
        summary="how long another analysis takes on this machine, and how much memory",
        takes=("question", "questions", "nothing"),
        run=Lazy("backend.analyses.cost.cost", "run"),
        params=(
            Param("analysis", Word(tuple(by_name)), "the other analysis", default=NEEDED),
            Param("params", AnyObject(), "its parameters", default={}),
        ),
        rule=checked,
        example={"analysis": "effects", "params": {}},
        scalars=(
            ScalarSpec("expected_seconds", "how long it takes", "seconds"),
            ScalarSpec("expected_bytes", "the most memory in addition to the weights", "bytes"),
        ),
        stored=False,
        interactive=True,
    )
