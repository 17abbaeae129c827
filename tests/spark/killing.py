"""A data source whose process is killed once, in the middle of writing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def killing_source(marker: Path, whom: str) -> Any:
    """The class to register, as the format ``killed``.

    Made here and not at the module's level: it travels by value to processes that cannot import
    the tests.

    Args:
        marker: a file that is made when it happens, so that it happens once.
        whom: ``"worker"``, the Python process that writes, or ``"executor"``, the JVM above it.
    """
    from aiobatch.integrations.spark import DynamoDBDataSource
    from aiobatch.integrations.spark.writer import DynamoDBWriter

    def kill_after(batches: Iterator[Any], count: int) -> Iterator[Any]:
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

    class KillingWriter(DynamoDBWriter):
        def write(self, iterator: Iterator[Any]) -> Any:
            return super().write(kill_after(iterator, 4))

    class KillingSource(DynamoDBDataSource):
        slots = 2

        @classmethod
        def name(cls) -> str:
            return "killed"

        def writer(self, schema: Any, overwrite: bool) -> Any:
            made = super().writer(schema, overwrite)
            return KillingWriter(made._options, made._key_names)

    return KillingSource
