"""What is in the sdist and in the wheels."""

import subprocess
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT

pytestmark = pytest.mark.packaging


def source() -> set[str]:
    """The package's files in the checkout."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "aiobatch").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_is_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packed = {name for name in names if ".dist-info/" not in name}
    # What `aiobatch demo` runs.
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert packed == source() | set(shipped.values())
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert metadata["Name"] == "aiobatch"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    core = {line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert core == {"aiobotocore<4,>=2.25", "orjson>=3.10"}


def test_the_sdist_has_what_the_repository_has(sdist: Path) -> None:
    """But for what only a checkout needs. One may build, test and document from it."""
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    folders = (
        "aiobatch/",
        "tests/",
        "examples/",
        "benchmarks/",
        "docs/",
        "native/",
        "requirements/",
    )
    files = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile"}
    wanted = {
        name
        for name in listed
        if (name.startswith(folders) or name in files) and (ROOT / name).is_file()
    }
    assert wanted <= packed, sorted(wanted - packed)
    assert not {name for name in packed if "node_modules" in name or name.endswith(".pyc")}


def test_the_native_wheel_is_for_every_python_and_many_linuxes(native_wheel: Path) -> None:
    """maturin looks at the symbols that it needs, and names the oldest system that has them."""
    python, abi, platform = native_wheel.stem.split("-")[-3:]
    assert (python, abi) == ("cp311", "abi3")
    assert platform.startswith("manylinux_2_"), platform
    with zipfile.ZipFile(native_wheel) as archive:
        names = archive.namelist()
    assert {"aiobatch_native/__init__.pyi", "aiobatch_native/py.typed"} <= set(names)
