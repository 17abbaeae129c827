"""Python imports this when it starts, where this directory is in PYTHONPATH: `make coverage-spark`.

Spark kills its workers in Python, and with one that is killed goes what coverage measured in it. So
here a worker saves that after each task. Not all of Spark's daemons, which fork the workers, can be
replaced by a setting; all of them are started with the name of the module that does the work.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any


def _saves_after(main: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(main)
    def run(*arguments: Any) -> Any:
        from coverage import Coverage

        try:
            return main(*arguments)
        finally:
            measured = Coverage.current()
            assert measured is not None, "coverage was not started in this worker"
            measured.save()

    return run


match sys.orig_argv[1:]:
    case ["-m", "pyspark.daemon", name]:
        module = importlib.import_module(name)
        module.main = _saves_after(module.main)  # type: ignore[attr-defined]
