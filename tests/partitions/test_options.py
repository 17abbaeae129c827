"""The data source's options: text in, settings out, and errors that say what to do."""

import pickle

import pytest

from aiobatch.integrations.spark.options import ReadOptions, WriteOptions
from aiobatch.partitions.counting import CounterAddress
from aiobatch.partitions.settings import JobRate


def test_defaults() -> None:
    options = WriteOptions.parse({"table": "users"})
    assert options == WriteOptions(table="users")
    assert options.rate() is None
    assert ReadOptions.parse({"table": "users", "path": "x"}) == ReadOptions(table="users")


def test_all_of_them() -> None:
    options = WriteOptions.parse(
        {
            "table": "users",
            "endpointurl": "http://127.0.0.1:8000",
            "region": "eu-west-1",
            "profile": "p",
            "maxconcurrency": "4",
            "tasks": "8",
            "keys": "pk, sk",
            "operation": "DELETE",
            "maxwriteunits": "1000.0",
            "oninvalid": "skip",
            "sets": "tags,codes",
            "nulls": "write",
            "report": "/tmp/x",
        },
        tasks=3,
    )
    assert options.tasks == 8
    assert options.keys == ("pk", "sk")
    assert options.operation == "delete"
    assert options.rate() == 125.0
    assert options.sets == ("tags", "codes")
    assert (options.nulls, options.on_invalid, options.report) == ("write", "skip", "/tmp/x")


def test_no_more_tasks_read_than_there_are_segments() -> None:
    given = {"table": "users", "segments": "2", "maxReadUnits": "100"}
    assert ReadOptions.parse(given, tasks=50).rate() == 50.0
    assert ReadOptions.parse(given, tasks=1).rate() == 100.0


COUNTER = CounterAddress("127.0.0.1", 7077, "secret")


def test_where_tasks_are_counted_a_job_has_a_rate_of_its_own() -> None:
    given = {"table": "users", "maxWriteUnits": "100"}
    options = WriteOptions.parse(given, 4, COUNTER)
    rate = options.rate()
    assert isinstance(rate, JobRate)
    assert (rate.units, rate.share, rate.counter) == (100.0, 25.0, COUNTER)
    again = options.rate()
    assert isinstance(again, JobRate)
    assert rate.job != again.job
    # It travels to the tasks, and its secret into no log.
    assert pickle.loads(pickle.dumps(rate)) == rate
    assert "secret=" not in repr(rate)
    # Who says how many tasks there are has them believed.
    assert WriteOptions.parse({**given, "tasks": "8"}, 4, COUNTER).rate() == 12.5
    assert WriteOptions.parse({"table": "users"}, 4, COUNTER).rate() is None


def test_units_that_nobody_can_divide() -> None:
    options = WriteOptions.parse({"table": "users", "maxWriteUnits": "100"})
    with pytest.raises(ValueError, match="nobody said how many"):
        options.rate()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("operation", "upsert", "option operation is 'put' or 'delete'"),
        ("maxWriteUnits", "nan", "capacity units a second"),
        ("maxWriteUnits", "-1", "capacity units a second"),
        ("maxWriteUnits", "many", "capacity units a second"),
        ("tasks", "0", "option tasks is a whole number"),
        ("tasks", "1.5", "option tasks is a whole number"),
        ("nulls", "maybe", "option nulls is"),
        ("awsSecretAccessKey", "x", "unknown option 'awssecretaccesskey'"),
        ("segments", "3", "unknown option 'segments' for writing"),
    ],
)
def test_options_that_are_wrong(name: str, value: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        WriteOptions.parse({"table": "users", name: value})


def test_no_table() -> None:
    with pytest.raises(ValueError, match="no table"):
        WriteOptions.parse({"table": " "})
