"""Processes that are killed once, in the middle of writing.

What is made here is made in functions and not at the module's level: it travels by value to
processes that cannot import the tests.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Batches = Iterator[Any]


def kill_after(count: int, marker: Path, whom: str) -> Callable[[Batches], Batches]:
    """What passes batches on, and kills before one of them.

    Args:
        count: so many batches pass.
        marker: a file that is made when it happens, so that it happens once.
        whom: ``"worker"``, the Python process that writes, or ``"executor"``, the JVM above it.
    """

    def passing(batches: Batches) -> Batches:
        import os
        import signal
        from pathlib import Path

        for number, batch in enumerate(batches):
            if number == count:
                try:
                    os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    pass
                else:
                    victim = os.getpid()
                    if whom == "executor":
                        # Above the worker is the daemon that forks workers, then the JVM.
                        stat = Path(f"/proc/{os.getppid()}/stat").read_text()
                        victim = int(stat.rpartition(")")[2].split()[1])
                    os.kill(victim, signal.SIGKILL)
            yield batch

    return passing


def killing_source(marker: Path, whom: str) -> Any:
    """The data source to register, as the format ``killed``. Arguments as for ``kill_after``."""
    from aiobatch.integrations.spark import DynamoDBDataSource
    from aiobatch.integrations.spark.writer import DynamoDBWriter

    passing = kill_after(4, marker, whom)

    class KillingWriter(DynamoDBWriter):
        def write(self, iterator: Batches) -> Any:
            return super().write(passing(iterator))

    class KillingSource(DynamoDBDataSource):
        slots = 2

        @classmethod
        def name(cls) -> str:
            return "killed"

        def writer(self, schema: Any, overwrite: bool) -> Any:
            made = super().writer(schema, overwrite)
            return KillingWriter(made._options, made._key_names)

    return KillingSource


def killing_function(marker: Path, table_name: str, **settings: Any) -> Any:
    """What writes by ``mapInArrow``, in a worker that is killed once."""
    from aiobatch.integrations.spark import map_in_arrow

    passing = kill_after(4, marker, "worker")
    write = map_in_arrow(table_name, **settings)

    def run(batches: Batches) -> Batches:
        return write(passing(batches))

    return run
