"""The loop of this process is ended after each test, so that none is left behind."""

from collections.abc import Iterator

import pytest

from aiobatch import partitions


@pytest.fixture(autouse=True)
def _loop_ends() -> Iterator[None]:
    yield
    partitions.close()
