"""Every error that a user may see.

LetterheadsError
├── RequestError        the request cannot be understood: an unknown name, a wrong type, a value out of range
├── QuestionError       a question, label, prompt, bank or uploaded file is not usable
├── ModelError          a model is not known, not supported, not complete, or failed its self-check
│   └── DownloadError   its bytes could not be had, or were not the bytes we expect
├── ResourceError       not enough memory or disk
├── StoreError          a saved result is damaged or cannot be written
└── Cancelled           the user stopped the job

A message says what happened, with the value, and what to try. It is shown as it is: in the page's error box,
as one line on the command line.
"""


class LetterheadsError(Exception):
    """The root: catch this at a border (page, command line, worker), nowhere else."""


class RequestError(LetterheadsError):
    """The request cannot be understood."""


class QuestionError(LetterheadsError):
    """A question, label, prompt, bank or uploaded file is not usable."""


class ModelError(LetterheadsError):
    """A model is not known, not supported, not complete, or failed its self-check."""


class DownloadError(ModelError):
    """A model's bytes could not be had, or were not the bytes expected."""


class ResourceError(LetterheadsError):
    """Not enough memory or disk."""


class StoreError(LetterheadsError):
    """A saved result is damaged or cannot be written."""


class Cancelled(LetterheadsError):
    """The user stopped the job."""


def error_named(code: str, message: str) -> LetterheadsError:
    """The error of a class by its name, as it crosses from another process; the root for a name we do not have."""
    found = globals().get(code)
    if isinstance(found, type) and issubclass(found, LetterheadsError):
        return found(message)
    return LetterheadsError(message)


def is_failure(error: BaseException) -> bool:
    """Whether something failed: an Exception, or what a library written in Rust raises, which is none."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def shown(value: object, limit: int = 80) -> str:
    """A user's value as it appears in a message: quoted, on one line, cut at `limit` characters.

    >>> shown("a\\nb")
    "'a\\\\nb'"
    """
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
