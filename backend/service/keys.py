"""Under which key a result is kept: everything that decides its numbers, and nothing else."""

import hashlib
import json

from backend import __version__
from backend.analyses import Task, analysis_named


def store_key(task: Task, fingerprint: str) -> str:
    """Hex digest of the analysis and its version, the questions and shots, the prompt, the params and the model."""
    request = task.request
    options = max((len(question.options) for question in task.questions), default=0)
    decides = {
        "letterheads": __version__,
        "analysis": request.analysis,
        "version": analysis_named(request.analysis).version,
        "model": fingerprint,
        "questions": [question.to_json() for question in task.questions],
        "shots": [[shot.to_json() for shot in shots] for shots in task.shots],
        "template": request.prompt.template,
        "labels": request.prompt.labels[:options],
        "params": request.params,
    }
    return _digest(json.dumps(decides, sort_keys=True))


def job_key(task: Task) -> str:
    """The same request on the same questions is the same job."""
    questions = [question.to_json() for question in task.questions]
    return _digest(task.request.canonical() + json.dumps(questions))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
