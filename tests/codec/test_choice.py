"""Which codec a process takes, seen from within such a process."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from aiobatch.codec import CODEC, Codec, implementations
from aiobatch.codec.choice import VARIABLE, choose

NATIVE = "aiobatch.codec.native"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As though aiobatch-native were to be imported for the first time."""
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, NATIVE, raising=False)
        patch.delattr("aiobatch.codec.native", raising=False)
        yield


@pytest.fixture
def absent(installed: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As though it were not installed."""
    monkeypatch.delitem(sys.modules, "aiobatch_native", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_NoNative(), *sys.meta_path])


class _NoNative:
    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name == "aiobatch_native":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def unfit(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As though one of another version were installed."""
    module = ModuleType("aiobatch_native")
    module.INTERFACE = 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "aiobatch_native", module)


def test_python_is_always_there() -> None:
    assert choose({VARIABLE: "python"}).name == "python"
    assert next(iter(implementations())) == "python"


def test_the_compiled_one_is_taken_where_it_is() -> None:
    best = list(implementations())[-1]
    for environ in ({}, {VARIABLE: ""}, {VARIABLE: "auto"}, {VARIABLE: " AUTO "}):
        assert choose(environ).name == best


def test_the_compiled_one_does_all_that_a_codec_does(
    installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each function is that of its name, whatever it is."""
    module = ModuleType(NATIVE)
    functions = [field.name for field in fields(Codec) if field.name != "name"]
    for name in functions:
        setattr(module, name, f"the native {name}")
    monkeypatch.setitem(sys.modules, NATIVE, module)
    monkeypatch.setattr("aiobatch.codec.native", module, raising=False)
    for environ in ({}, {VARIABLE: "native"}):
        codec = choose(environ)
        assert codec.name == "native"
        assert {name: getattr(codec, name) for name in functions} == {
            name: f"the native {name}" for name in functions
        }
    assert implementations() == {"python": choose({VARIABLE: "python"}), "native": codec}


@pytest.mark.usefixtures("absent")
def test_absent() -> None:
    assert choose({}).name == "python"
    assert list(implementations()) == ["python"]
    with pytest.raises(ImportError) as caught:
        choose({VARIABLE: "native"})
    assert str(caught.value) == (
        "AIOBATCH_CODEC=native, and the compiled codec is not installed:"
        " pip install aiobatch-native, or unset the variable"
    )


@pytest.mark.usefixtures("unfit")
def test_of_another_version(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "aiobatch.codec"):
        assert choose({}).name == "python"
    [record] = caplog.records
    assert record.message.startswith("the compiled codec is left out: ")
    assert record.message.endswith("pip install --upgrade aiobatch aiobatch-native")
    with pytest.raises(ImportError, match="is not of this aiobatch's version"):
        choose({VARIABLE: "native"})


def test_a_misspelt_choice() -> None:
    with pytest.raises(ValueError, match="AIOBATCH_CODEC must be python, native or auto, not 'c'"):
        choose({VARIABLE: "C"})


@pytest.mark.parametrize("name", implementations())
def test_in_a_process_of_its_own(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from aiobatch.codec import CODEC; print(CODEC.name)"],
        env={VARIABLE: name},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == name


def test_this_process() -> None:
    assert CODEC.name in implementations()
