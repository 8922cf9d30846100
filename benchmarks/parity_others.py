"""TransformerLens' and nnsight's side of `scripts/bench parity`: run by the Python of .venv-bench.

Reads the cases from standard input, and prints one JSON object: the versions, and for each family the largest error of
each, or the sentence with which it refuses.
"""

import json
import os
import sys
from importlib.metadata import version
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import nnsight
import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, AutoTokenizer

MOST = 90


def main() -> None:
    """Patch every case with both, and print."""
    torch.set_grad_enabled(False)
    found: dict[str, dict[str, str]] = {
        "versions": {
            name: version(name.replace("_", "-")) for name in ("transformers", "transformer_lens", "nnsight")
        }
    }
    for name, case in json.load(sys.stdin).items():
        found[name] = {
            which: _worst(patched, case)
            for which, patched in (("transformer_lens", transformer_lens), ("nnsight", nnsights))
        }
        print(name, found[name], file=sys.stderr)
    print(json.dumps(found))


def _worst(patched: Any, case: dict[str, Any]) -> str:
    """The largest error over the layers, as a share of the largest logit; or what was raised."""
    try:
        theirs, own = patched(case), torch.tensor(case["logits"])
    except Exception as error:
        return f"refuses: {type(error).__name__}: {' '.join(str(error).split())[:MOST]}".replace("|", "/")
    largest = float((theirs - own).abs().max() / own.abs().max())
    return f"{largest:.1e}" if largest else "0"


def transformer_lens(case: dict[str, Any]) -> torch.Tensor:
    """Their logits after each patch, `[layer, token]`."""
    hf_model = AutoModelForCausalLM.from_pretrained(case["folder"], dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(case["folder"])
    model = TransformerBridge.boot_transformers(
        case["folder"], hf_model=hf_model, tokenizer=tokenizer, device="cpu", dtype=torch.float32
    )
    base, source = torch.tensor([case["base"]]), torch.tensor([case["source"]])
    names = [f"blocks.{layer}.attn.hook_z" for layer in range(len(case["paths"]))]
    _, cache = model.run_with_cache(source, names_filter=lambda name: name in names)
    logits = []
    for name, at in zip(names, case["at"], strict=True):

        def patch(value: torch.Tensor, hook: object, name: str = name, at: int = at) -> torch.Tensor:
            index = (0, at, case["head"])
            value[index] = cache[name][index]
            return value

        logits.append(model.run_with_hooks(base, fwd_hooks=[(name, patch)])[0, -1].float())
    return torch.stack(logits)


def nnsights(case: dict[str, Any]) -> torch.Tensor:
    """Their logits after each patch, `[layer, token]`."""
    model = nnsight.NNsight(AutoModelForCausalLM.from_pretrained(case["folder"], dtype=torch.float32).eval())
    base, source = torch.tensor([case["base"]]), torch.tensor([case["source"]])
    part = slice(case["head"] * case["size"], (case["head"] + 1) * case["size"])
    logits = []
    for path, at in zip(case["paths"], case["at"], strict=True):
        projection = model
        for name in path.split("."):
            projection = projection[int(name)] if name.isdigit() else getattr(projection, name)
        with model.trace(source):
            value = projection.input[0, at, part].clone().save()
        with model.trace(base):
            projection.input[0, at, part] = value
            out = model.output.logits.save()
        logits.append(out[0, -1].float())
    return torch.stack(logits)


if __name__ == "__main__":
    main()
