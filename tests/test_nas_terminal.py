import errno
import os
import pty

import pytest

from nas.terminal import Lasting


def test_what_is_said_to_a_terminal_that_is_gone_goes_to_nowhere() -> None:
    mine, other = pty.openpty()
    with open(other, "w", encoding="utf-8") as stream:
        lasting = Lasting(stream)
        assert lasting.isatty()
        lasting.write("hello\n")
        lasting.flush()
        assert os.read(mine, 100) == b"hello\r\n"
        os.close(mine)
        for _ in range(3):
            lasting.write("is anybody there?\n" * 1000)
            lasting.flush()
        assert not os.isatty(stream.fileno())


def test_so_does_what_is_said_for_the_first_time_when_it_is_gone_already() -> None:
    mine, other = pty.openpty()
    with open(other, "w", encoding="utf-8") as stream:
        os.close(mine)
        lasting = Lasting(stream)
        lasting.write("is anybody there?\n" * 1000)
        lasting.flush()


def test_other_errors_are_errors(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with open(tmp_path / "file", "w", encoding="utf-8") as stream:
        lasting = Lasting(stream)
        os.dup2(os.open("/dev/full", os.O_WRONLY), stream.fileno())
        lasting.write("more than the disk takes")
        with pytest.raises(OSError) as raised:  # noqa: PT011 - its number is looked at
            lasting.flush()
        assert raised.value.errno == errno.ENOSPC
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
