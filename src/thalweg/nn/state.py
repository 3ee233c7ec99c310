"""Loading a state dictionary: everything is checked first, then everything is given its value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from thalweg._tensor import Tensor
from thalweg.errors import CheckpointError, ConfigTypeError
from thalweg.ops.creation import as_tensor
from thalweg.tape import no_grad

__all__ = ["IncompatibleKeys", "load"]

_MOST = 8  # lines an error spends on one kind of problem


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` gives: the names that had no value, and the values without a name."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        missing, unexpected = self
        return f"IncompatibleKeys(missing_keys={missing}, unexpected_keys={unexpected})"


@no_grad()
def load(owner: str, own: dict[str, Tensor], given: Any, strict: bool) -> IncompatibleKeys:
    """Give the tensors `own` the values of the same name in `given`, in their own dtype.

    Raises `CheckpointError`, with nothing changed, if a shape differs or, under `strict`, a name
    is missing or not known. `owner` is what the error calls the module.
    """
    if not isinstance(given, Mapping):
        hint = ": give its state_dict()" if hasattr(given, "state_dict") else ""
        raise ConfigTypeError(
            f"{owner}.load_state_dict: a dictionary of tensors by name expected, got "
            f"{type(given).__name__}{hint}"
        )
    missing = [name for name in own if name not in given]
    unexpected = [name for name in given if name not in own]
    values = {name: as_tensor(given[name]) for name in own if name in given}
    problems = _listed(
        f"{name}: shape {tuple(value.shape)} in the state, {tuple(own[name].shape)} in the module"
        for name, value in values.items()
        if value.shape != own[name].shape
    )
    if strict:
        problems += _prefixed(unexpected, missing) or [
            *_listed(f"missing: {name}" for name in missing),
            *_listed(f"unexpected: {name}{_guess(name, missing)}" for name in unexpected),
        ]
    if problems:
        raise CheckpointError(
            f"the state does not fit {owner}, nothing was loaded:\n  " + "\n  ".join(problems)
        )
    for name, value in values.items():
        own[name].copy_(value)
    return IncompatibleKeys(missing, unexpected)


def _listed(problems: Iterable[str]) -> list[str]:
    lines = list(problems)
    rest = len(lines) - _MOST
    return [*lines[:_MOST], f"... and {rest} more such"] if rest > 0 else lines


def _guess(name: str, missing: list[str]) -> str:
    close = difflib.get_close_matches(name, missing, n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def _prefixed(unexpected: list[str], missing: list[str]) -> list[str]:
    """Advice, where every name fits but for one word in front, as wrappers of models leave it."""
    firsts = {name.partition(".")[0] for name in unexpected}
    rests = [name.partition(".")[2] for name in unexpected]
    if len(firsts) == 1 and sorted(rests) == sorted(missing):
        prefix = f"{firsts.pop()}."
        stripped = f"{{name.removeprefix({prefix!r}): value for name, value in state.items()}}"
        return [f"all names begin with {prefix!r}; without it they fit: {stripped}"]
    return []
