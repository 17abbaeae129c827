"""The plots: one of each, and equal figures give equal files."""

from pathlib import Path

from benchmarks.plots import draw
from tests.benchmarks.results import results


def test_equal_figures_give_equal_files(tmp_path: Path) -> None:
    first = draw(results(), tmp_path / "one")
    second = draw(results(), tmp_path / "two")
    assert [path.name for path in first] == [
        "throughput.svg",
        "stalls.svg",
        "latency.svg",
        "lists.svg",
    ]
    for one, two in zip(first, second, strict=True):
        text = one.read_text(encoding="utf-8")
        assert text == two.read_text(encoding="utf-8")
        assert "<svg" in text
        assert "dc:date" not in text


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert draw({"rows": [], "lists": []}, tmp_path) == []
