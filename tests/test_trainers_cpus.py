"""What is known of the CPUs."""

import os
from pathlib import Path

import pytest
import torch

from trainers.cpus import has_bfloat16, onednn_has_bfloat16, usable_cpus, usable_memory


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse avx2\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_tile\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("processor\t: 0\n", None),
    ],
)
def test_bfloat16_is_read_from_what_the_system_says(text: str, known: bool | None, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    assert has_bfloat16(tmp_path / "cpuinfo") is known


def test_a_system_that_says_nothing(tmp_path: Path) -> None:
    assert has_bfloat16(tmp_path / "nothing") is None
    assert onednn_has_bfloat16(tmp_path / "nothing") is True
    assert usable_cpus() >= 1


@pytest.mark.parametrize(
    ("flags", "known"),
    [
        ("avx2 avx512f", False),
        ("avx512bw avx512vl avx512dq", True),
        ("avx512_bf16", True),
    ],
)
def test_what_onednn_does_without_instructions(flags: str, known: bool, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: fpu {flags}\n", encoding="utf-8")
    assert onednn_has_bfloat16(tmp_path / "cpuinfo") is known


def test_torch_says_the_same_of_this_machine() -> None:
    assert onednn_has_bfloat16() == torch.ops.mkldnn._is_mkldnn_bf16_supported()


def test_a_containers_limit_counts_where_it_is_less_than_the_machines_memory(tmp_path: Path) -> None:
    limits = [tmp_path / name for name in ("none", "max", "small", "large")]
    for limit, text in zip(limits[1:], ("max\n", "1048576\n", f"{2**62}\n"), strict=True):
        limit.write_text(text, encoding="utf-8")
    whole = usable_memory(limits[:2])
    assert whole == usable_memory([limits[3]]) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert usable_memory(limits) == 2**20
