"""Data tables: what is written can be read again, and cannot do anything where it is opened."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.data_table import DataTable

CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
TABLES = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[CELLS] * width), max_size=6))
HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "  =1",
    "\uff1d1",
    "\t=1",
    "\r=1",
    "<script>alert(1)</script>",
    'quote " comma, newline\nnext',
    "\x1b[2J\x1b]0;title\x07",
    "nul\0nul",
    "\u202eevil\u2066",
    "\ud800",
    "\u2028",
)


def read(table: DataTable) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table.as_csv(), newline=""), strict=True))


@given(TABLES)
def test_csv_and_json_of_any_cells_can_be_read_again(rows):
    columns = tuple(f"c{place}" for place in range(len(rows[0]) if rows else 1))
    table = DataTable("t", columns, tuple(rows))
    head, *lines = read(table)
    assert head == list(columns)
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        for text, cell in zip(line, row, strict=True):
            assert text == "" or text.isprintable()
            if isinstance(cell, float) and cell == cell and abs(cell) != float("inf"):
                assert float(text) == cell
            elif isinstance(cell, int) and not isinstance(cell, bool):
                assert int(text) == cell
            elif isinstance(cell, str):
                assert not text.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
    text = json.dumps(table.as_data(), allow_nan=False)
    assert len(json.loads(text)["rows"]) == len(rows)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_one_line(text):
    table = DataTable("t", (text, "n"), ((text, -1.5),))
    written = table.as_csv()
    assert written.count("\n") == 2
    for lines in read(table):
        assert lines[0].isprintable()
        assert lines[0].lstrip()[0] not in "=+-@\uff1d"
    assert read(table)[1][1] == "-1.5"
    assert written.encode()
    assert table.as_data()["rows"] == [[text, -1.5]]


def test_what_is_not_known_is_empty_and_truth_is_a_word():
    table = DataTable("t", ("a", "b", "c", "d"), ((None, float("nan"), True, "it's"),))
    assert table.as_csv() == "a,b,c,d\r\n,,true,it's\r\n"
    assert table.as_data() == {"name": "t", "columns": ["a", "b", "c", "d"], "rows": [[None, None, True, "it's"]]}


def test_rows_have_a_cell_for_each_column():
    with pytest.raises(ValueError, match="not of 2 cells"):
        DataTable("t", ("a", "b"), ((1,),))
