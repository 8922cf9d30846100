"""The keys of saved results and of jobs: hashes of all that decides the numbers, and of nothing else."""

import hashlib
from typing import Any

from backend.analyses import analysis_named
from backend.analyses.task import Task
from backend.contract.fields import canonical_json
from backend.contract.request import QuestionSet


def store_key(task: Task, fingerprint: str) -> str:
    """Hex digest of the canonical request on its questions and shots, the analysis' version and the model.

    The program's version is no part of it, so a new release can use results of analyses that did not change.
    """
    return _digest({**_decides(task), "fingerprint": fingerprint})


def job_key(task: Task) -> str:
    """The same request on the same questions of the same model is the same job.

    A budget decides whether a job is refused, so that jobs with different ones are not joined.
    """
    analysis, request = analysis_named(task.request.analysis), task.request
    values = analysis.values(request, task.questions)
    return _digest({**_decides(task), "model": request.model.to_json(), "params": values})


def _decides(task: Task) -> dict[str, Any]:
    """What decides the numbers of a result, except the model.

    The bank's name is there because results give each question's index in its bank.
    """
    analysis = analysis_named(task.request.analysis)
    shots = [question for some in task.shots for question in some]
    request = analysis.canonical(task.request, [*task.questions, *shots])
    return {
        "analysis": analysis.name,
        "version": analysis.version,
        "params": request.params,
        "template": request.prompt.template,
        "labels": request.prompt.labels,
        **({"controls_as_text": True} if request.prompt.controls_as_text else {}),
        **({"custom": request.prompt.custom} if request.prompt.custom else {}),
        "bank": request.questions.bank if isinstance(request.questions, QuestionSet) else None,
        "questions": [question.to_json() for question in task.questions],
        "shots": [[shot.to_json() for shot in some] for some in task.shots],
    }


def _digest(data: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()
