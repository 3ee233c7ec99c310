"""The machine that code is made for: its vectors, registers, caches and cores."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from thalweg.errors import ConfigError

__all__ = ["Machine", "host"]

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_WIDTHS = (512, 256, 128)


@dataclass(frozen=True, slots=True)
class Machine:
    """What lowering and code generation may count on.

    vector_bits   width of a vector register that code uses
    registers     how many of them there are
    name          the processor's name, as LLVM spells it
    features      what is added to and taken from that processor, as LLVM spells it
    cores         how many of them this process may use
    l1, l2        bytes of a core's two nearest data caches
    """

    vector_bits: int
    registers: int
    name: str
    features: str
    cores: int
    l1: int
    l2: int

    def lanes(self, dtype: np.dtype[np.generic]) -> int:
        """How many elements of `dtype` a vector holds."""
        return self.vector_bits // (8 * dtype.itemsize)

    @property
    def has_fma(self) -> bool:
        """Whether a product is added in one instruction and one rounding."""
        return "+fma" in self.features.split(",") or not _is_x86()

    @property
    def has_scaling(self) -> bool:
        """Whether one instruction multiplies floats by powers of two."""
        return {"+avx512f", "+avx512vl"} <= set(self.features.split(","))


def host() -> Machine:
    """The machine this runs on; `THALWEG_VECTOR_BITS` asks for narrower vectors than it has.

    >>> host().vector_bits in (512, 256, 128)
    True
    """
    wanted = os.environ.get("THALWEG_VECTOR_BITS", "")
    if wanted and wanted not in map(str, _WIDTHS):
        raise ConfigError(f"THALWEG_VECTOR_BITS: got {wanted!r}, expected 512, 256 or 128")
    name, features = _processor()
    bits = min(_widest(features), int(wanted or _WIDTHS[0]))
    return Machine(
        vector_bits=bits,
        registers=32 if bits == 512 or not _is_x86() else 16,
        name=name,
        features=_spelled(features, bits),
        cores=_cores(),
        l1=_cache_bytes(1, 32 << 10),
        l2=_cache_bytes(2, 512 << 10),
    )


@cache
def _processor() -> tuple[str, Mapping[str, bool]]:
    import llvmlite.binding as llvm

    return llvm.get_host_cpu_name(), dict(llvm.get_host_cpu_features())


def _is_x86() -> bool:
    return platform.machine().lower() in {"x86_64", "amd64", "i386", "i686"}


def _widest(features: Mapping[str, bool]) -> int:
    if features.get("avx512f") and features.get("avx512vl"):
        return 512
    return 256 if features.get("avx2") else 128


def _spelled(features: Mapping[str, bool], bits: int) -> str:
    """The features with everything that is wider than `bits` taken away."""
    kept = {
        name: present and (bits == 512 or not name.startswith(("avx512", "avx10", "amx")))
        for name, present in features.items()
    }
    words = [f"{'+' if present else '-'}{name}" for name, present in sorted(kept.items())]
    if _is_x86():
        words += ["-prefer-256-bit", f"{'+' if bits == 128 else '-'}prefer-128-bit"]
    return ",".join(words)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells what a process may use
        return os.cpu_count() or 1


@cache
def _cache_bytes(level: int, otherwise: int) -> int:
    """The size of the data cache of a level, or a size that most machines have."""
    for entry in sorted(_CACHES.glob("index*")):
        try:
            words = [(entry / part).read_text().strip() for part in ("level", "type", "size")]
        except OSError:
            continue
        if words[0] == str(level) and words[1] != "Instruction" and words[2][-1:] in _UNITS:
            return int(words[2][:-1]) * _UNITS[words[2][-1]]
    return otherwise
