"""A config that is missing, unreadable, or brings code is refused."""

from pathlib import Path

import pytest

from backend.contract.errors import ModelError
from backend.models.config import check_config
from tests import tiny


def test_plain_config_passes(converted: Path) -> None:
    check_config(converted)


def test_every_family_passes(tmp_path: Path) -> None:
    for name in tiny.FAMILY_CONFIGS:
        tiny.tiny_model(name).config.save_pretrained(tmp_path)
        check_config(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "has no config.json"),
        ("{", "cannot be read"),
        ("[]", "names no model_type"),
        ('{"model_type": ["x"]}', "names no model_type"),
        ('{"model_type": "x", "quantization_config": {"quant_method": "gptq"}}', "quantized already.*'gptq'"),
        ('{"model_type": "x", "quantization_config": 4}', "quantized already"),
        (
            '{"model_type": "bert", "architectures": ["BertForMaskedLM"]}',
            "type 'bert' .BertForMaskedLM.*CausalLM",
        ),
        (
            '{"model_type": "vit", "architectures": ["ViTForImageClassification"]}',
            "does not go on with a text",
        ),
        ('{"model_type": "t5", "is_encoder_decoder": true}', "encoder and decoder"),
    ],
)
def test_other_configs_are_refused(tmp_path: Path, content: str | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError, match=reason):
        check_config(tmp_path)
