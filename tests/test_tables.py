"""Tables: read row by row, and every way in which a file can be hostile."""

from __future__ import annotations

import csv
import json
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metasearch.dataset.tables import Row, columns_of, is_blank, is_table, read_rows, text_of
from metasearch.errors import DataError


def write(folder: Path, name: str, content: bytes | str) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def values(file: Path) -> list[tuple[int, dict[str, object]]]:
    return [(row.line, row.values) for row in read_rows(file)]


# -- what is read --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "separator"), [("t.csv", ","), ("t.tsv", "\t"), ("T.CSV", ",")])
def test_separated_values_keep_their_line_numbers(tmp_path: Path, name: str, separator: str) -> None:
    text = 'a,b\n1,"two\nlines, ""quoted"""\n\n3,four\r\n5,"six"\n'.replace(",", separator)
    file = write(tmp_path, name, text)
    second = f'two\nlines{separator} "quoted"'
    assert values(file) == [
        (2, {"a": "1", "b": second}),
        (5, {"a": "3", "b": "four"}),
        (6, {"a": "5", "b": "six"}),
    ]
    assert columns_of(file) == ["a", "b"]


def test_json_lines(tmp_path: Path) -> None:
    file = write(tmp_path, "t.jsonl", '{"a": 1}\r\n\n  {"a": "x\u2028y", "b": [null]}\n{"a": "\\ud83d\\ude00"}')
    assert values(file) == [(1, {"a": 1}), (3, {"a": "x\u2028y", "b": [None]}), (4, {"a": "😀"})]
    assert columns_of(file) == ["a"]
    assert values(write(tmp_path, "t.ndjson", '{"a": 1}')) == [(1, {"a": 1})]


def test_parquet(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    file = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"a": [str(i) for i in range(600)], "b": [None, *range(599)]}), file, row_group_size=100)
    rows = list(read_rows(file))
    assert (len(rows), rows[0], rows[599]) == (600, Row(1, {"a": "0", "b": None}), Row(600, {"a": "599", "b": 598}))
    assert columns_of(file) == ["a", "b"]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, name: str) -> None:
    text = '{"a": "x"}' if name == "t.jsonl" else "a\nx"
    assert [row.values for row in read_rows(write(tmp_path, name, b"\xef\xbb\xbf" + text.encode()))] == [{"a": "x"}]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl"])
def test_no_character_but_the_line_feed_ends_a_line(tmp_path: Path, name: str) -> None:
    odd = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\u200f\u202eh"
    text = json.dumps({"t": odd}, ensure_ascii=False) if name == "t.jsonl" else f"t\n{odd}"
    assert [row.values["t"] for row in read_rows(write(tmp_path, name, text))] == [odd]


def test_lines_of_ten_megabytes(tmp_path: Path) -> None:
    long = "ä" * 5_000_000
    for name, text in (("t.csv", f'a,b\n1,"{long}"\n2,x\n'), ("t.jsonl", json.dumps({"a": "1", "b": long}, ensure_ascii=False))):
        assert len(next(read_rows(write(tmp_path, name, text))).values["b"]) == 5_000_000


def test_the_limit_of_fields_is_only_raised(tmp_path: Path) -> None:
    before = csv.field_size_limit(2**30)
    try:
        list(read_rows(write(tmp_path, "t.csv", "a\nx\n")))
        assert csv.field_size_limit() == 2**30
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    row = "x" * 1000
    file = tmp_path / name
    if name == "t.parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.table({"a": [row] * 20_000}), file)
    else:
        line = json.dumps({"a": row}) if name == "t.jsonl" else row
        file.write_text("a\n" * (name == "t.csv") + f"{line}\n" * 20_000, encoding="utf-8")
    next(read_rows(file))  # what is imported now is not counted
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_rows(file)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 4_000_000  # of 20 million
    finally:
        tracemalloc.stop()


# -- files that are wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.txt", "a", "t.txt: unknown extension '.txt'; allowed: .csv, .tsv, .jsonl, .ndjson, .parquet"),
        ("t", "a", "unknown extension 'none'"),
        ("t.csv", "", "t.csv: is empty: expected a header"),
        ("t.csv", "\n\r\n", "t.csv: is empty"),
        ("t.tsv", b"\xef\xbb\xbf", "t.tsv: is empty"),
        ("t.jsonl", "\n \n", "t.jsonl: is empty: expected a JSON object a line"),
        ("t.csv", "a,,c\n1,2,3\n", "t.csv:1: no header: column 2 has no name; found 'a', '', 'c'"),
        ("t.csv", "\na,b,a\n1,2,3\n", "t.csv:2: the column 'a' is there twice"),
        ("t.csv", 'a,b\n1,"x\ny"\n1,2,3\n', "t.csv:4: expected 2 fields (a, b), found 3"),
        ("t.csv", "a,b\n1\n", "t.csv:2: expected 2 fields (a, b), found 1"),
        ("t.csv", 'a,b\n1,"x"y\n', "t.csv:2: not valid CSV: ',' expected after '\"'; a field that begins with a quote"),
        ("t.tsv", 'a\tb\n1\t"x" y\n', "t.tsv:2: not valid TSV"),
        ("t.csv", 'a,b\n1,2\n3,"x\n\n', "t.csv:3: not valid CSV: unexpected end of data"),
        ("t.csv", "a,b\r1,2\r", "t.csv:1: not valid CSV: new-line character seen in unquoted field"),
        ("t.jsonl", '{"a": 1}\n{"a": }\n', "t.jsonl:2: not valid JSON: Expecting value (column 7)"),
        ("t.jsonl", '[\n{"a": 1}\n]', "t.jsonl:1: not valid JSON"),
        ("t.jsonl", '["a"]', "t.jsonl:1: expected a JSON object, found a list"),
        ("t.jsonl", '{"a": 1, "a": 2}', "t.jsonl:1: the column 'a' is there twice"),
        ("t.jsonl", "[" * 100_000, "t.jsonl:1: not valid JSON: nested too deeply"),
        ("t.jsonl", '{"a": ' + "9" * 5000 + "}", "t.jsonl:1: not valid JSON"),
        ("t.jsonl", b'{"a": "x"}\n{"a": "\xe4"}', "t.jsonl:2: not UTF-8 text (byte 7 of the line)"),
        ("t.csv", b"a\nx\n\xe4\n", "t.csv:3: not UTF-8 text (byte 0 of the line)"),
        ("t.csv", "a\nx\n".encode("utf-16"), "t.csv:1: UTF-16 text; save it as UTF-8"),
        ("t.csv", "a\nx\n".encode("utf-16-le"), "t.csv:1: not UTF-8 text (a NUL is byte 1 of the line)"),
        ("t.tsv", b"a\nx\0y\n", "t.tsv:2: not UTF-8 text (a NUL is byte 1 of the line)"),
        ("t.jsonl", b'{"a": "\xed\xa0\x80"}', "t.jsonl:1: not UTF-8 text (byte 7 of the line)"),
        ("t.parquet", "PAR1 not", "t.parquet: cannot be read as Parquet"),
        ("t.parquet", "", "t.parquet: cannot be read as Parquet"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, name: str, content: bytes | str, said: str) -> None:
    file = write(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        list(read_rows(file))
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(file))


def test_parquet_with_wrong_columns_or_bytes(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    file = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.Table.from_arrays([pyarrow.array(["x"])] * 2, names=["a", "a"]), file)
    with pytest.raises(DataError, match="the column 'a' is there twice"):
        list(read_rows(file))
    raw = pyarrow.array([b"fine", b"\xe4"]).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"a": raw}), file)
    with pytest.raises(DataError, match=r"t.parquet:2: not UTF-8 text \(byte 0 of a field\)"):
        list(read_rows(file))


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r"t.parquet: reading Parquet needs pyarrow: pip install 'metasearch\[parquet\]'"):
        list(read_rows(write(tmp_path, "t.parquet", "")))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for name in ("none.csv", "none.jsonl", "none.parquet"):
        with pytest.raises(DataError, match=f"{name}: cannot be read"):
            list(read_rows(tmp_path / name))


def test_what_is_a_table(tmp_path: Path) -> None:
    assert is_table(Path("a.Parquet"))
    assert not is_table(Path("a.json"))


# -- texts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "'t': expected text, found nothing"),
        (3, "'t': expected text, found a number"),
        (b"x", "'t': expected text, found bytes"),
        (["x"], "'t': expected text, found a list"),
        ("ab\ud800c", "'t': half a surrogate pair at character 2: no valid Unicode text"),
        ("ab\0", "'t': a NUL at character 2"),
    ],
)
def test_values_that_are_no_text(value: object, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        text_of(Row(7, {"t": value}), "t", Path("f.jsonl"))
    assert str(caught.value).startswith("f.jsonl:7: ")


def test_a_missing_column_names_those_there() -> None:
    with pytest.raises(DataError, match="f.csv:2: has no 'text'; found 'a', 'b'"):
        text_of(Row(2, {"a": "", "b": ""}), "text", Path("f.csv"))


def test_half_a_surrogate_pair_in_a_file_has_a_line(tmp_path: Path) -> None:
    file = write(tmp_path, "t.jsonl", '{"t": "ok"}\n{"t": "\\udc80"}\n')
    with pytest.raises(DataError, match="t.jsonl:2: 't': half a surrogate pair at character 0"):
        [text_of(row, "t", file) for row in read_rows(file)]


@pytest.mark.parametrize("text", ["", " \t\u00a0", "\u200f\u202e\u2066", "\ufeff", "\u200b\x1f"])
def test_texts_that_show_nothing(text: str) -> None:
    assert is_blank(text)
    assert not is_blank(text + "x")


@given(st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\0"))] * 2), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_text_survives_csv_and_json(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    with (folder / "t.csv").open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, quoting=csv.QUOTE_ALL)
        writer.writerows([("a", "b"), *rows])
    lines = [json.dumps({"a": a, "b": b}, ensure_ascii=False) + "\n" for a, b in rows]
    (folder / "t.jsonl").write_bytes("".join(lines).encode())
    for name in ("t.csv", "t.jsonl"):
        assert [(row.values["a"], row.values["b"]) for row in read_rows(folder / name)] == rows


@given(st.binary(max_size=60), st.sampled_from(["csv", "tsv", "jsonl", "parquet"]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_read_or_give_a_clear_error(tmp_path_factory: pytest.TempPathFactory, content: bytes, kind: str) -> None:
    file = write(tmp_path_factory.mktemp("bytes"), f"t.{kind}", content)
    try:
        list(read_rows(file))
    except DataError as error:
        assert f"t.{kind}" in str(error)
