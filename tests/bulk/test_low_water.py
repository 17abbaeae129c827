"""The mark: all before it has ended, and it is as far as that allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiobatch.bulk.low_water import LowWater


@given(st.data())
def test_the_mark_stands_before_the_first_row_that_has_not_ended(data: st.DataObject) -> None:
    water = LowWater[str]()
    begun: list[str] = []
    running: set[int] = set()
    passed: list[str] = []
    for _ in range(data.draw(st.integers(0, 40))):
        if not running or data.draw(st.booleans()):
            begun.append(f"row {len(begun) + 1}")
            number = water.begin(begun[-1])
            assert number == len(begun)
            assert water[number] == begun[-1]
            running.add(number)
        else:
            number = data.draw(st.sampled_from(sorted(running)))
            running.remove(number)
            water.end(number)
        if data.draw(st.booleans()):
            passed += water.advance()
            assert water.mark == (min(running) - 1 if running else len(begun))
            assert passed == begun[: water.mark]
            assert water.open == len(begun) - water.mark
            assert water.newest == len(begun)
    for number in running:
        water.end(number)
    assert passed + water.advance() == begun
    assert water.open == 0


def test_a_row_ends_once() -> None:
    water = LowWater[str]()
    with pytest.raises(ValueError, match="row 1 has not begun"):
        water.end(1)
    water.begin("a")
    water.begin("b")
    water.end(2)
    with pytest.raises(ValueError, match="row 2 has not begun, or has ended before"):
        water.end(2)
    water.end(1)
    water.advance()
    with pytest.raises(ValueError, match="row 1"):
        water.end(1)
