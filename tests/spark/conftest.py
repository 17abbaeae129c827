"""A Spark on this machine: ``local[2]``, and a cluster of two workers that are processes."""

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aiobatch import partitions
from aiobatch.integrations.spark import register
from tests.backends import Backend, BackendPool
from tests.conftest import REGION

HERE = Path(__file__).parent


def _has_data_sources() -> bool | None:
    """Whether this PySpark has data sources in Python, which came with 4.0; None: there is none."""
    try:
        return int(metadata.version("pyspark").split(".")[0]) >= 4
    except metadata.PackageNotFoundError:
        return None


HAS_DATA_SOURCES = _has_data_sources()
# The filters that a reader is told of came with 4.1.
HAS_FILTERS = HAS_DATA_SOURCES and metadata.version("pyspark") >= "4.1"
# Only .venv-spark-* has it; elsewhere the marker leaves these tests out in any case.
collect_ignore = [
    path.name
    for path in HERE.glob("test_*.py")
    if (not HAS_DATA_SOURCES and not (HAS_DATA_SOURCES is False and path.name == "test_mapping.py"))
    or (not HAS_FILTERS and path.name == "test_filters.py")
]

ResultT = TypeVar("ResultT")

LOCAL = "local[2]"
CLUSTER = "local-cluster[2,1,1024]"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("spark")
            # collect() leaves its connection to the JVM to the garbage collector.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")
            )
            # Spark 3.5 compares versions with it.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:distutils Version classes:DeprecationWarning")
            )


@contextlib.contextmanager
def session(master: str, scratch: Path, **settings: str) -> Iterator[Any]:
    """A Spark session that listens on the loopback alone, and whose JVM ends with it."""
    # Both are read before the JVM starts: a builder's settings would come too late.
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    # Where the workers of a local cluster write.
    os.environ.update(SPARK_WORKER_DIR=str(scratch / "work"), SPARK_LOG_DIR=str(scratch / "logs"))
    if "COVERAGE_RUN" in os.environ:
        os.environ["PYTHONPATH"] = str(HERE / "measured")
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master).appName("aiobatch")
    builder = builder.config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.host", "127.0.0.1")
    builder = builder.config("spark.sql.shuffle.partitions", "4")
    builder = builder.config("spark.sql.warehouse.dir", str(scratch / "warehouse"))
    builder = builder.config("spark.local.dir", str(scratch / "local"))
    builder = builder.config("spark.executor.memory", "1g")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "500")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    for name, value in os.environ.items():
        if name.startswith("AWS_"):
            builder = builder.config(f"spark.executorEnv.{name}", value)
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()
        # py4j leaves its sockets to the garbage collector.
        gc.collect()


# Spark keeps the session by thread: the one that began it does all that follows, while the tests'
# own loop goes on.
_thread = ThreadPoolExecutor(1, "spark")


async def in_spark(work: Callable[..., ResultT], *arguments: Any, **more: Any) -> ResultT:
    """Do something that blocks in the thread of the session."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_thread, partial(work, *arguments, **more))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Any]:
    """Starts a session; it ends with the module."""
    # For what is shown without an endpoint. Spark's processes inherit it from its JVM.
    os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = backend.endpoint_url
    with contextlib.ExitStack() as stack:

        def begin(master: str, **settings: str) -> Any:
            running = session(master, tmp_path_factory.mktemp("spark"), **settings)
            spark = _thread.submit(running.__enter__).result()
            stack.callback(lambda: _thread.submit(running.__exit__, None, None, None).result())
            if HAS_DATA_SOURCES:
                _thread.submit(register, spark).result()
            return spark

        yield begin


@pytest.fixture(scope="session")
def backend(_backends: BackendPool) -> Backend:
    """ministack alone: what is tested here is Spark."""
    return _backends.get("ministack")


@pytest.fixture
def options(endpoint_url: str) -> dict[str, str]:
    return {"endpointUrl": endpoint_url, "region": REGION}


@pytest.fixture(autouse=True)
def _loop_ends() -> Iterator[None]:
    yield
    partitions.close()


@pytest.fixture
def save(options: dict[str, str]) -> Callable[..., None]:
    """Writes a frame through the data source; blocks."""

    def run(frame: Any, table: str, **more: str) -> None:
        writing = frame.write.format("dynamodb").options(table=table, **{**options, **more})
        writing.mode("append").save()

    return run
