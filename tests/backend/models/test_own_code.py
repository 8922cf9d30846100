"""A config that names code of its publisher: transformers' own model is loaded, the code is not run, and it is told."""

import json
from pathlib import Path

import pytest

from backend.contract.errors import ModelError
from backend.models.own_code import code_notes, refuse_own_code
from tests import tiny
from tests.backend.models.test_brought_prompts import asked, found

EVIL = "open({!r}, 'w')"
AUTO_MAPS: dict[str, object] = {
    "a class each": {"AutoConfig": "configuration_evil.C", "AutoModelForCausalLM": "modeling_evil.Evil"},
    "a pair": {"AutoTokenizer": [None, "tokenization_evil.T"], "AutoModel": "modeling_evil.Evil"},
    "of another repository": {"AutoModelForCausalLM": "org/code--modeling_evil.Evil"},
    "no object": "modeling_evil.Evil",
    "empty": {},
}


def folder(path: Path, auto_map: object, **changes: object) -> Path:
    tiny.tiny_model("llama").save_pretrained(path)
    tiny.tokenizer().save_pretrained(path)
    file = path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "auto_map": auto_map, **changes}))
    for name in ("configuration_evil", "modeling_evil", "tokenization_evil"):
        (path / f"{name}.py").write_text(EVIL.format(str(path / "ran")))
    return path


@pytest.mark.parametrize(
    "what",
    [what if what == "a class each" else pytest.param(what, marks=pytest.mark.slow) for what in AUTO_MAPS],
)
def test_a_known_type_is_loaded_natively_and_told(what: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "model", AUTO_MAPS[what])
    assert asked(path, tmp_path / "asked") == 0
    notes = found(tmp_path / "asked")["model"]["notes"]
    assert len(notes) == 1
    if AUTO_MAPS[what]:
        assert "modeling_evil.py" in notes[0]
        assert "not run: this is transformers' model of type 'llama'" in notes[0]
    assert not (path / "ran").exists()


@pytest.mark.parametrize("kind", ["evil", "vit", 3, None])
def test_a_type_that_only_the_code_knows_is_refused(kind: object, tmp_path: Path) -> None:
    path = folder(tmp_path, AUTO_MAPS["a class each"], model_type=kind)
    with pytest.raises(ModelError, match=r"brings its own code \(configuration_evil\.py, modeling_evil\.py"):
        refuse_own_code(path)


def test_models_without_code_have_no_notes(tmp_path: Path) -> None:
    tiny.tiny_model("llama").config.save_pretrained(tmp_path)
    assert code_notes(tmp_path) == code_notes(None) == ()
    refuse_own_code(tmp_path)
