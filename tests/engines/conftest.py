"""Ray and Dask have an environment of their own; elsewhere the marker leaves these tests out."""

from pathlib import Path

import pytest

from tests.backends import Backend, BackendPool


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("engines")


@pytest.fixture(scope="session")
def backend(_backends: BackendPool) -> Backend:
    """ministack alone: what is tested here are the engines."""
    return _backends.get("ministack")
