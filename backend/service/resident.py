"""The one model in memory: loaded when a job needs it, checked against itself, unloaded when another is needed."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from backend.analyses.checks.self_check import Checks, refuse_failed, self_check
from backend.contract.cards import LoadedModel
from backend.contract.errors import ResourceError, shown
from backend.contract.model import ModelSpec
from backend.contract.progress import Progress
from backend.engine.instrument import Instrument
from backend.models import RunnableModel, prepare, release, resolve
from backend.models.memory import OFFLOAD, held_bytes, is_out_of_memory, return_freed
from backend.models.own_code import code_notes

Prepare = Callable[[ModelSpec, Progress, int], Callable[[], RunnableModel]]


class Resident:
    """Only the thread whose turn it is to compute calls `ready`."""

    def __init__(self, prepare: Prepare = prepare) -> None:
        self._prepare = prepare
        self._checks: Checks = {}
        self._weight_bytes: Counter[str] = Counter()
        self.instrument: Instrument | None = None

    def ready(self, spec: ModelSpec, progress: Progress) -> Instrument:
        """The instrument for `spec`. Another model is unloaded once this one is known to be loadable."""
        wanted = resolve(spec, progress)
        if self.instrument is not None and self.instrument.resolved.fingerprint == wanted.fingerprint:
            return self.instrument
        try:
            load = self._prepare(spec, progress, self.returned(wanted.device))
            if self.instrument is not None:
                before = self.instrument.resolved
                progress(f"Loading {wanted.name}; {before.name} ({before.dtype}) is unloaded")
            self._unload()
            return self._take_in(load(), progress)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise ResourceError(
                f"The memory ran out while {shown(spec.name)} was made ready. Close other programs, or try dtype "
                "bfloat16, quantization 8bit, or a smaller model."
            ) from error

    def returned(self, device: str) -> int:
        """Bytes on a device that unloading the model frees."""
        instrument = self.instrument
        if instrument is None:
            return 0
        on_processor = self._weight_bytes["cpu"] + instrument.cached_bytes()
        if device == OFFLOAD:
            return self._weight_bytes["cuda"] + on_processor
        return on_processor if device == "cpu" else self._weight_bytes[device]

    def give_back(self) -> None:
        """After a job: drop what long prompts left in the cache, and return its memory to the system."""
        if self.instrument is not None and self.instrument.between_jobs():
            return_freed(self.instrument.resolved.device)

    def card(self) -> LoadedModel | None:
        """The model with its self-check figures."""
        instrument = self.instrument
        return None if instrument is None else LoadedModel(**described(instrument), checks=self._checks)

    def _take_in(self, loaded: RunnableModel, progress: Progress) -> Instrument:
        try:
            progress("Checking the model against itself")
            instrument = Instrument(loaded)
            checks = self_check(instrument, progress)
            refuse_failed(loaded.resolved.name, checks)
        except BaseException:
            release(loaded)
            raise
        self._weight_bytes = held_bytes(loaded.model.parameters())
        return_freed(loaded.resolved.device)  # freed memory of the previous model and of the checks
        self.instrument, self._checks = instrument, checks
        return instrument

    def _unload(self) -> None:
        instrument, self.instrument, self._checks = self.instrument, None, {}
        if instrument is not None:
            loaded = instrument.loaded
            del instrument
            release(loaded)


def described(instrument: Instrument) -> dict[str, Any]:
    """The model as results name it."""
    resolved, shape = instrument.resolved, instrument.shape
    return {
        "name": resolved.name,
        "dtype": resolved.dtype,
        "quantization": resolved.quantization,
        "device": resolved.device,
        "fingerprint": resolved.fingerprint,
        "family": instrument.model.config.model_type,
        "layers": shape.layers,
        "heads": shape.heads,
        "kv_heads": shape.kv_heads,
        "notes": list(code_notes(resolved.folder)),
    }
