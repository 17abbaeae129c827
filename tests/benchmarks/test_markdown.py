"""Tables, and the places that commands write into."""

from pathlib import Path

import pytest

from benchmarks.markdown import (
    NoPlace,
    as_table,
    check_place,
    places_in,
    replaced,
    write_blocks,
    write_into,
)

TEXT = """# Title
<!-- demo:begin -->
old
<!-- demo:end -->
Between.
<!-- bench:lists:begin -->
older
<!-- bench:lists:end -->
"""


def test_a_table_is_aligned() -> None:
    assert as_table([["name", "n"], ["a", "1,000"]]) == [
        "| name |     n |",
        "| ---- | ----: |",
        "| a    | 1,000 |",
    ]


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    made = replaced(TEXT, "demo", ["new \\1", "lines"])
    assert made == TEXT.replace("old\n<", "new \\1\nlines\n<", 1)
    assert replaced(made, "demo", ["old"]) == TEXT


def test_places_are_found_in_their_order() -> None:
    assert places_in(TEXT) == ["demo", "bench:lists"]


@pytest.mark.parametrize("text", ["", TEXT + TEXT])
def test_there_has_to_be_one_place(text: str) -> None:
    with pytest.raises(NoPlace, match=r"demo:begin.* and there are [02]"):
        replaced(text, "demo", [])


def test_a_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(TEXT, encoding="utf-8")
    write_into(path, "demo", ["neu: Zürich"])
    assert "neu: Zürich\n<!-- demo:end -->" in path.read_text(encoding="utf-8")
    with pytest.raises(NoPlace, match=r"README.md: .*other:begin"):
        write_into(path, "other", [])


def test_a_file_gets_the_blocks_that_it_has_places_for(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(TEXT, encoding="utf-8")
    assert write_blocks(path, {"bench:lists": ["a"], "bench:guide": ["b"]}) == ["bench:lists"]
    text = path.read_text(encoding="utf-8")
    assert "begin -->\na\n<!-- bench:lists:end" in text
    assert "\nold\n" in text
    with pytest.raises(NoPlace, match="no place for any of bench:guide"):
        write_blocks(path, {"bench:guide": ["b"]})


def test_a_place_can_be_asked_for_before_the_work(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    with pytest.raises(NoPlace, match=r"page.md cannot be read: No such file"):
        check_place(path, "demo")
    path.write_text(TEXT, encoding="utf-8")
    check_place(path, "demo")
    with pytest.raises(NoPlace, match=r"page.md: .*other:begin"):
        check_place(path, "other")
    assert path.read_text(encoding="utf-8") == TEXT
