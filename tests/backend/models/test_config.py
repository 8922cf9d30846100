"""A config that is missing, unreadable, or brings code is refused."""

from pathlib import Path

import pytest

from backend.errors import ModelError
from backend.models.config import refuse_remote_code


def test_plain_config_passes(converted: Path) -> None:
    refuse_remote_code(converted)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "has no config.json"),
        ("{", "cannot be read"),
        ("[]", "names no model_type"),
        ('{"model_type": "x", "auto_map": {"AutoModelForCausalLM": "evil.Model"}}', "brings its own code"),
    ],
)
def test_other_configs_are_refused(tmp_path: Path, content: str | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError, match=reason):
        refuse_remote_code(tmp_path)
