"""The CPUs of this process and their memory. Imports nothing heavy."""

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

# Of control groups, as a container sees its own: version 2, and version 1.
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_AVX512 = {"avx512bw", "avx512vl", "avx512dq"}
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86 vectors, x86 matrices, ARM


def usable_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_memory(limits: Iterable[Path] = _MEMORY_LIMITS) -> int:
    """Bytes of memory that this process may use: the machine's, or a container's limit where that is less."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in limits:
        with suppress(OSError, ValueError):  # not there, or "max"
            found = min(found, int(limit.read_text(encoding="utf-8")))
    return found


def has_bfloat16(facts: Path = Path("/proc/cpuinfo")) -> bool | None:
    """Whether the CPUs have instructions for bfloat16; None where the system does not say (it is Linux that does).

    Without them bfloat16 is emulated: Inception-v3 trained 6.5 times as slowly as in float32.
    """
    flags = _flags(facts)
    return None if flags is None else bool(flags & _BFLOAT16_FLAGS)


@cache
def onednn_has_bfloat16(facts: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether torch hands convolutions of bfloat16 to oneDNN on these CPUs, emulated or not; True where unknown.

    On x86 that takes AVX-512 with its byte and doubleword parts; elsewhere torch unfolds and multiplies itself.
    """
    flags = _flags(facts)
    if flags is None:
        return True
    return flags >= _AVX512 or bool(flags & _BFLOAT16_FLAGS)


def _flags(facts: Path) -> set[str] | None:
    try:
        lines = facts.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith(("flags", "Features"))), None)
