"""Values of options that several commands share."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from nas.cli_options import NewFile, NewFolder, Number, Whole
from search_spaces.errors import RequestError


def given(kind: click.ParamType, text: str) -> object:
    @click.command()
    @click.option("--value", type=kind)
    def command(value: object) -> None:
        found.append(value)

    found: list[object] = []
    done = CliRunner().invoke(command, ["--value", text])
    if isinstance(done.exception, RequestError):
        raise done.exception
    return found[0] if done.exit_code == 0 else done.output


def test_numbers_are_called_so() -> None:
    assert given(Whole(1, 5), "3") == 3
    assert "'three' is not a valid whole number." in str(given(Whole(1, 5), "three"))
    assert "7 is not in the range 1<=x<=5." in str(given(Whole(1, 5), "7"))
    assert given(Number(0, 1), "0.5") == 0.5
    assert "'half' is not a valid number." in str(given(Number(0, 1), "half"))


def test_a_file_to_be_written_is_no_folder_and_has_its_ending(tmp_path: Path) -> None:
    assert given(NewFile("drawing.svg", checked=True), str(tmp_path / "a.SVG")) == tmp_path / "a.SVG"
    assert given(NewFile("report.html"), str(tmp_path / "page")) == tmp_path / "page"
    with pytest.raises(RequestError, match=r"is a folder: name a file in it, such as '.*report\.html'"):
        given(NewFile("report.html"), str(tmp_path))
    with pytest.raises(RequestError, match=r"does not end in \.svg: name a file that does"):
        given(NewFile("drawing.svg", checked=True), str(tmp_path / "a.png"))


def test_a_folder_to_be_written_into_is_no_file(tmp_path: Path) -> None:
    assert given(NewFolder(), str(tmp_path)) == tmp_path
    assert given(NewFolder(), str(tmp_path / "new")) == tmp_path / "new"
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="is a file: name a folder, which is made if need be"):
        given(NewFolder(), str(tmp_path / "file"))
