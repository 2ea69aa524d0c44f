"""What is known of the CPUs."""

from pathlib import Path

import pytest

from trainers.cpus import has_bfloat16, usable_cpus


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
    assert usable_cpus() >= 1
