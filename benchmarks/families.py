"""Every architecture of transformers that builds small, as a user would bring it: as a folder.

    scripts/bench families [--write | TYPE ...]

For each type a tiny random model is saved, loaded and checked as a job would load it. It prints `accepted` with the
largest error against the model's own hidden states and attentions (a share of the largest value), `refused` with the
sentence that a user sees, `not built` where transformers makes no small model, or `crashed`. Exit status 1 where one
crashed or was accepted and is wrong; one that is accepted in 4 bits alone is wrong too. `--write` puts the table into
docs/models.md.
"""

import json
import multiprocessing
import sys
import tempfile
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.families_table import Tried, write_table

WRONG = 1e-4
SECONDS = 60


def main(arguments: list[str]) -> int:
    """Try the given types, or all; print a line each and the counts."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    write = "--write" in arguments
    names = [name for name in arguments if name != "--write"] or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    worker, found = Worker(), []
    for name in names:
        tried = worker.tried(name)
        found.append(tried)
        print(*filter(None, tried), sep="\t", flush=True)
    worker.end()
    counts = Counter(tried.outcome for tried in found)
    wrong = sum(tried.outcome == "accepted" and not float(tried.detail) <= WRONG for tried in found)
    print(*(f"{count} {outcome}" for outcome, count in sorted(counts.items())), f"{wrong} wrong", sep=", ")
    if write:
        write_table(found)
    return int(bool(wrong or counts["crashed"]))


class Worker:
    """A process that tries one type after another; another one goes on where it dies or takes too long."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def tried(self, name: str) -> Tried:
        """How one type ended."""
        self._connection.send_bytes(name.encode())
        if self._connection.poll(SECONDS):
            try:
                return Tried(name, *json.loads(self._connection.recv_bytes()))
            except EOFError:
                self.end()
                detail = f"its process ended with status {self._process.exitcode}"
        else:
            self.end()
            detail = f"it ran for more than {SECONDS} s"
        self._start()
        return Tried(name, "crashed", detail)

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection) -> None:
    import warnings

    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    while True:
        name = connection.recv_bytes().decode()
        ended: tuple[str, ...]
        try:
            ended = one(name)
        except Exception as error:
            ended = "crashed", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        connection.send_bytes(json.dumps(ended).encode())


def one(name: str) -> tuple[str, ...]:
    """Build, save and load one type, and hold what is recorded against the model's own (see `Tried`)."""
    from benchmarks.small_models import save_small_model

    with tempfile.TemporaryDirectory() as folder:
        try:
            save_small_model(name, Path(folder))
        except Exception as error:
            return "not built", f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        instrument, refusal = _taken(folder)
        quantized, refusal_of_quantized = _taken(folder, quantization="4bit")
        if instrument is None:
            return ("refused", refusal) if quantized is None else ("accepted", "inf", "only in 4 bits")
        how = "adapter" if instrument.family.listed else "structure"
        patching = "cones" if instrument.family.layer_by_layer else "whole passes"
        in_4_bits = refusal_of_quantized or "accepted"
        return "accepted", f"{independent_error(instrument):.1e}", how, in_4_bits, patching


def _taken(folder: str, **held: str) -> tuple[Any, str]:
    """The instrument of a folder as a job has it, or None and the sentence that refuses it."""
    from backend.contract.errors import LetterheadsError
    from backend.contract.model import ModelSpec
    from backend.contract.progress import silent
    from backend.service.resident import Resident

    try:
        return Resident().ready(ModelSpec(folder, dtype="float32", device="cpu", **held), silent), ""
    except LetterheadsError as error:
        return None, str(error).replace(folder, "FOLDER")


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
    sys.exit(main(sys.argv[1:]))
