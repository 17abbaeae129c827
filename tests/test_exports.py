"""The public names: sorted, complete, documented, and all that a caller needs."""

import importlib
import importlib.resources
import inspect
import pkgutil
from types import ModuleType
from typing import get_type_hints

import pytest

import aiobatch
from aiobatch import DynamoDB, codec, errors, responses, retry


def test_all_is_sorted_and_complete() -> None:
    assert aiobatch.__all__ == sorted(aiobatch.__all__)
    assert len(set(aiobatch.__all__)) == len(aiobatch.__all__)
    modules = {name for name, value in vars(aiobatch).items() if isinstance(value, ModuleType)}
    public = {name for name in vars(aiobatch) if not name.startswith("_")} - modules
    assert public == set(aiobatch.__all__)


def test_what_the_public_modules_offer_is_public() -> None:
    for module in (errors, responses, retry):
        assert set(module.__all__) <= set(aiobatch.__all__), module.__name__


@pytest.mark.parametrize("name", aiobatch.__all__)
def test_every_name_is_documented(name: str) -> None:
    value = getattr(aiobatch, name)
    if name == "Item":
        return  # an alias: its words stand below it in the source
    documented = inspect.getdoc(value)
    assert documented, f"{name} has no docstring"
    # Not the one that it inherits.
    assert documented != inspect.getdoc(value.__mro__[1])


def test_every_method_of_the_client_is_documented() -> None:
    for name, method in inspect.getmembers(DynamoDB, inspect.isfunction):
        if not name.startswith("_"):
            documented = inspect.getdoc(method)
            assert documented, f"DynamoDB.{name} has no docstring"
            # Calls show how they are called.
            assert name == "aclose" or "Example::" in documented, name


def test_every_keyword_of_the_client_is_documented() -> None:
    documented = inspect.getdoc(DynamoDB) or ""
    for name in inspect.signature(DynamoDB).parameters:
        assert name in documented, name
    for name in inspect.signature(DynamoDB.batch_get_item).parameters:
        assert name in (inspect.getdoc(DynamoDB.batch_get_item) or "") or name == "self", name


def test_hints_can_be_resolved_at_run_time() -> None:
    """As pydantic, FastAPI and documentation tools do."""
    for name in ("BatchGetResponse", "BatchWriteResponse", "ItemResponse", "WriteResponse"):
        assert get_type_hints(getattr(aiobatch, name))


def test_every_module_declares_its_names() -> None:
    for info in pkgutil.walk_packages(aiobatch.__path__, "aiobatch."):
        if "testing" in info.name:
            continue  # its extras may be missing
        if info.name.startswith("aiobatch.integrations.spark"):
            continue  # Spark has an environment of its own; tests/spark does the same there
        if info.name == "aiobatch.codec.native" and "native" not in codec.implementations():
            continue  # the compiled half is a wheel of its own; tests/codec runs over both
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{info.name}.{name}"


def test_it_is_typed() -> None:
    assert (importlib.resources.files("aiobatch") / "py.typed").is_file()
