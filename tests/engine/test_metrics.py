"""What a call cost: requests, bytes, and the capacity of each table, added up."""

from typing import Any

import pytest

from aiobatch.engine.metrics import Meter, units_of


def test_the_counters_are_shown() -> None:
    meter = Meter(10.0, requests=3, retries=25, throttled=1, bytes=4096)
    assert meter.as_answer(12.5) == {
        "requests": 3,
        "retries": 25,
        "throttled": 1,
        "bytes": 4096,
        "seconds": 2.5,
    }
    assert Meter(10.0).as_answer(10.0) == {
        "requests": 0,
        "retries": 0,
        "throttled": 0,
        "bytes": 0,
        "seconds": 0.0,
    }


def test_what_answers_consumed_is_added_up_by_table() -> None:
    meter = Meter(0.0)
    first: list[dict[str, Any]] = [
        {
            "TableName": "users",
            "CapacityUnits": 5,
            "Table": {"CapacityUnits": 2.0},
            "GlobalSecondaryIndexes": {"by_city": {"CapacityUnits": 3.0}},
        },
        {"TableName": "orders", "CapacityUnits": 0.5},
    ]
    second: list[dict[str, Any]] = [
        {
            "TableName": "users",
            "CapacityUnits": 1.5,
            "Table": {"CapacityUnits": 0.5},
            "GlobalSecondaryIndexes": {
                "by_city": {"CapacityUnits": 0.25},
                "by_age": {"CapacityUnits": 0.75},
            },
        }
    ]
    assert meter.consumed(first) == 5.5
    assert meter.consumed(second) == 1.5
    assert meter.capacity == {
        "users": {
            "TableName": "users",
            "CapacityUnits": 6.5,
            "Table": {"CapacityUnits": 2.5},
            "GlobalSecondaryIndexes": {
                "by_city": {"CapacityUnits": 3.25},
                "by_age": {"CapacityUnits": 0.75},
            },
        },
        "orders": {"TableName": "orders", "CapacityUnits": 0.5},
    }


def test_whoever_wants_to_know_is_told_of_each_answer() -> None:
    told: list[float] = []
    meter = Meter(0.0, told=told.append)
    capacity = [{"TableName": "t", "CapacityUnits": 2.0}, {"TableName": "u", "CapacityUnits": 1}]
    assert meter.consumed(capacity) == 3.0
    # An answer that says nothing of it is no news.
    assert meter.consumed([]) == meter.consumed([{"TableName": "t"}]) == 0.0
    assert told == [3.0]


@pytest.mark.parametrize(
    ("capacity", "units"),
    [
        ({"CapacityUnits": 2.5}, 2.5),
        ({"CapacityUnits": 2}, 2.0),
        ({"CapacityUnits": "2"}, 0.0),
        ({"CapacityUnits": None}, 0.0),
        ({}, 0.0),
    ],
)
def test_units_that_are_no_number_are_none(capacity: dict[str, Any], units: float) -> None:
    assert units_of(capacity) == units
    assert type(units_of(capacity)) is float
