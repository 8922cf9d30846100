"""An MMLU file answered by us and by a plain evaluation with transformers: the same prompt, and the same logits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.contract.prompt import PromptSpec
from backend.contract.request import Request
from backend.models import resolve
from backend.questions.files import read_file
from tests.backend.questions.formats.test_registry import MMLU_CSV
from tests.backend.service.serving import serving
from tests.backend.test_real_models import SMALL, answer


@pytest.mark.small_model
def test_mmlu_prompts_and_logits_are_a_plain_evaluations(tmp_path: Path) -> None:
    client = serving(tmp_path)
    folder = resolve(SMALL).folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for question in read_file("high_school_biology_test.csv", MMLU_CSV.encode()).questions:
        text = "The following are multiple choice questions (with answers) about high school biology.\n\n"
        text += f"{question.stem}\n"
        text += "".join(
            f"{letter}. {option}\n" for letter, option in zip("ABCD", question.options, strict=True)
        )
        text += "Answer:"
        ids = [tokenizer(f" {letter}").input_ids for letter in "ABCD"]
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0, -1]
        result = answer(
            client, Request.build("prediction", model=SMALL, question=question, prompt=PromptSpec("mmlu"))
        )
        assert result.scalars["text"] == text
        np.testing.assert_allclose(
            result.arrays["label_logits"].values, [logits[one].item() for (one,) in ids], atol=1e-4
        )
