"""The built wheels, installed where nothing else is, and used from there."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, TOOLS, Environment, run
from tests.packaging.modules import BRINGS, BROUGHT, EXTRA_OF, WALK

pytestmark = pytest.mark.packaging

# aioboto3 pins an aiobotocore of the old end of the range. PySpark is pinned where it is tested.
PINS = {"aioboto3": "low.lock.txt", "spark": "spark-4.1.txt"}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

# What of the suite needs no backend, no checkout and no minutes.
SUBSET = [
    "tests/codec/test_decode.py",
    "tests/engine/test_ledger.py",
    "tests/test_errors.py",
    "tests/test_exports.py",
    "tests/test_models.py",
    "tests/test_retry.py",
    "tests/test_updates.py",
]
# And what runs over both codecs, where both are there.
OF_CODECS = [
    "tests/codec/test_decode.py",
    "tests/codec/test_keys.py",
    "tests/codec/test_answers.py",
]
# What these import, beside the package.
NEEDS = [
    *("attrs", "blockbuster", "boto3", "hypothesis", "looptime", "moto[dynamodb]", "msgspec"),
    *("numpy", "pydantic", "pytest", "pytest-asyncio", "flask", "flask-cors", "opentelemetry-api"),
    *("pyarrow", "rich", "typer"),
]


def walk(python: Path, without: list[str]) -> dict[str, object]:
    """Import every public name, and every module but these; what there is, and what failed."""
    printed = run(python, "-I", "-c", WALK, json.dumps(without), cwd=python.parent)
    result: dict[str, object] = json.loads(printed)
    return result


def test_alone_it_imports_with_nothing_missing(environment: Environment, wheel: Path) -> None:
    python = environment(str(wheel))
    result = walk(python, [*EXTRA_OF, *BROUGHT])
    assert result["failures"] == {}
    names = result["names"]
    assert isinstance(names, list)
    assert {"aiobatch.client", "aiobatch.testing.proxy", *EXTRA_OF, *BROUGHT} <= set(names)
    run(TOOLS / "uv", "pip", "check", "--python", python)


def test_what_an_extra_is_missing_for_says_so(environment: Environment, wheel: Path) -> None:
    python = environment(str(wheel))
    for module, extra in EXTRA_OF.items():
        if module == "aiobatch.codec.native" or extra == "cli":
            continue  # no user imports them: the plain codec stands in, the command says it itself
        code = f"import importlib\ntry: importlib.import_module({module!r})"
        code += "\nexcept ImportError as error: print(error)"
        assert f"aiobatch[{extra}]" in run(python, "-I", "-c", code, cwd=python.parent), module


# Spark is half a gigabyte, which uv downloads once and links from its cache afterwards.
@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_an_extra_alone_brings_what_its_modules_need(
    extra: str, environment: Environment, wheel: Path, request: pytest.FixtureRequest
) -> None:
    more = [str(request.getfixturevalue("native_wheel"))] if extra == "native" else []
    pins = PINS.get(extra, "high.lock.txt")
    python = environment(f"aiobatch[{extra}] @ {wheel.as_uri()}", *more, pins=pins)
    others = [module for module, brought_by in EXTRA_OF.items() if brought_by != extra]
    assert walk(python, [*others, *BROUGHT])["failures"] == {}
    for module in BRINGS[extra]:
        run(python, "-I", "-c", f"import {module}", cwd=python.parent)


def suite(python: Path, tmp_path: Path, tests: list[str]) -> int:
    """Run tests from a directory without the package; how many tests passed."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(
        ROOT / "tests",
        elsewhere / "tests",
        ignore=shutil.ignore_patterns("node_modules", "__pycache__"),
    )
    shutil.copy(ROOT / "pyproject.toml", elsewhere)
    ran = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-x", cwd=elsewhere)
    where = run(python, "-c", "import aiobatch; print(aiobatch.__file__)", cwd=elsewhere)
    assert "site-packages" in where
    found = re.search(r"^(\d+) passed", ran, re.MULTILINE)
    assert found, ran
    return int(found[1])


def test_the_suite_passes_on_the_wheel(
    environment: Environment, wheel: Path, tmp_path: Path
) -> None:
    assert suite(environment(str(wheel), *NEEDS), tmp_path, SUBSET) > 100


def test_the_suite_passes_on_both_wheels(
    environment: Environment, wheel: Path, native_wheel: Path, tmp_path: Path
) -> None:
    python = environment(str(wheel), str(native_wheel), *NEEDS)
    code = "from aiobatch.codec import CODEC; print(CODEC.name)"
    assert run(python, "-c", code, cwd=python.parent).strip() == "native"
    assert suite(python, tmp_path, OF_CODECS) > 100
