"""Every architecture of transformers that builds small, as a user would bring it: as a folder.

    scripts/bench families [TYPE ...]

Each type runs in a process of its own: a tiny random model is saved, loaded and checked. It prints `accepted` with the
largest error against the model's own hidden states and attentions (a share of the largest value), `refused` with the
sentence that a user sees, `not built` where transformers makes no small model, or `crashed`. Exit status 1 where one
crashed or was accepted and is wrong.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

WRONG = 1e-4
SECONDS = 300
SIZES = {
    "vocab_size": 320,
    "hidden_size": 48,
    "intermediate_size": 64,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "ffn_dim": 64,
    "rotary_dim": 8,
    "n_group": 1,
    "topk_group": 1,
}


def main(names: list[str]) -> int:
    """Run the given types, or all; print a line each and the counts."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    counts: dict[str, int] = {}
    wrong = 0
    for name in names or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        outcome, detail = _in_a_process(name)
        counts[outcome] = counts.get(outcome, 0) + 1
        wrong += outcome == "accepted" and not float(detail) <= WRONG
        print(f"{name}\t{outcome}\t{detail}", flush=True)
    print(
        ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())),
        f"{wrong} wrong",
        sep=", ",
    )
    return int(bool(wrong or counts.get("crashed")))


def _in_a_process(name: str) -> tuple[str, str]:
    """How one type ended: the outcome, and the error or the sentence."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.families", "--one", name]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return "crashed", f"it ran for more than {SECONDS} s"
    lines = ended.stdout.splitlines()
    if ended.returncode or not lines:
        return "crashed", (ended.stderr.splitlines() or [f"status {ended.returncode}"])[-1][:300]
    outcome, detail = json.loads(lines[-1])
    return outcome, detail


def one(name: str) -> tuple[str, str]:
    """Build, save and load one type, and hold what is recorded against the model's own."""
    from backend.analyses.checks.self_check import refuse_failed, self_check
    from backend.contract.errors import LetterheadsError
    from backend.contract.model import ModelSpec
    from backend.engine.instrument import Instrument
    from backend.models import load

    with tempfile.TemporaryDirectory() as folder:
        try:
            saved(name, Path(folder))
        except Exception as error:
            return "not built", f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        try:
            instrument = Instrument(load(ModelSpec(folder, dtype="float32", device="cpu")))
            refuse_failed(name, self_check(instrument))
            return "accepted", f"{independent_error(instrument):.1e}"
        except LetterheadsError as error:
            return "refused", str(error).replace(folder, "FOLDER")


def saved(name: str, folder: Path) -> None:
    """A random model of this type with a tokenizer, in a folder. Norms and biases are random too."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from tests import tiny

    torch.manual_seed(0)
    usual = AutoConfig.for_model(name)
    known = {*usual.to_dict(), *usual.attribute_map}
    config = AutoConfig.for_model(name, **{key: value for key, value in SIZES.items() if key in known})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    if sum(parameter.numel() for parameter in model.parameters()) > 300e6:
        raise ValueError("more than 300 million weights although made small")
    for key, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm" in key), std=0.3 if parameter.ndim == 1 else 0.2)
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)


def independent_error(instrument: Any) -> float:
    """The largest error of the recorded residual stream and final attention, against what the model itself returns."""
    import torch

    from backend.analyses.attention.attention import all_final_rows

    token_ids = tuple(range(3, 23))
    trace = instrument.trace(token_ids)
    model = instrument.model
    with torch.no_grad():
        plain = model(input_ids=torch.tensor([token_ids]), output_hidden_states=True, use_cache=False)
        usual, model.config._attn_implementation = model.config._attn_implementation, "eager"
        try:
            eager = model(input_ids=torch.tensor([token_ids]), output_attentions=True, use_cache=False)
        finally:
            model.config._attn_implementation = usual
    errors = [_share(trace.logits, plain.logits[0, -1])]
    hidden = torch.stack([states[0] for states in plain.hidden_states[: instrument.shape.layers]])
    errors.append(_share(trace.resid_pre, hidden))
    if eager.attentions and eager.attentions[0] is not None:
        own = torch.stack([pattern[0, :, -1, : len(token_ids)] for pattern in eager.attentions])
        errors.append(_share(all_final_rows(trace), own))
    return max(errors)


def _share(ours: Any, own: Any) -> float:
    if ours.shape != own.shape:
        return float("inf")
    return float((ours - own).abs().max() / own.abs().max())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(one(sys.argv[2])))
    else:
        sys.exit(main(sys.argv[1:]))
