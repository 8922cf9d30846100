"""The messages of runs that failed for a reason outside their analysis."""

import errno

from backend.contract.errors import LetterheadsError, ResourceError, shown
from backend.contract.request import Request
from backend.models.resolve import GIGABYTE, Resolved


def out_of_memory(resolved: Resolved, request: Request) -> ResourceError:
    """Names what did not fit, and requests that need less memory."""
    advice = ["a shorter prompt or fewer shots"]
    if resolved.dtype == "float32":
        advice.append("dtype bfloat16")
    if resolved.quantization == "none":
        advice.append("quantization 8bit or 4bit")
    return ResourceError(
        f"The memory of {resolved.device} ran out in {request.analysis}, in addition to the "
        f"{resolved.weight_bytes / GIGABYTE:.1f} GB of {shown(resolved.name)}. The model stays loaded. "
        f"Try {', '.join(advice)}, or a smaller model."
    )


def died_too_often(resolved: Resolved, why: str, deaths: int) -> ResourceError:
    """The process that runs the model ended several times in one job."""
    advice = ["a shorter prompt", "a smaller model"]
    if resolved.quantization == "none":
        advice.insert(0, "quantization 8bit or 4bit")
    if resolved.dtype == "float32":
        advice.insert(0, "dtype bfloat16")
    return ResourceError(
        f"The process that runs {shown(resolved.name)} ended {deaths} times during this job: {why}. "
        f"What was finished is kept. Close other programs, or try {', '.join(advice)}."
    )


def unexpected(error: BaseException) -> LetterheadsError:
    """An error of the program or of the machine."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ResourceError("The disk is full. Free some space, or set LETTERHEADS_HOME to another disk.")
    return LetterheadsError(
        f"Something went wrong inside Letterheads ({type(error).__name__}: {shown(str(error), 200)}). "
        "The terminal that runs it shows where; nothing that was saved is lost."
    )
