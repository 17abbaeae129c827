"""What the documentation says in tables and links is so."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NotRequired, get_origin, get_type_hints

import pytest

import aiobatch
from aiobatch import errors, limits, responses
from tests.docs.blocks import PAGES, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
UNITS = {"": 1, "bytes": 1, "KB": 1024, "MB": 1024 * 1024}

# Headings of the README, and what has the members in the table below.
SHAPES: dict[str, type[Any]] = {
    "`batch_get_item`": responses.BatchGetResponse,
    "`batch_write_item`": responses.BatchWriteResponse,
    "`get`": responses.ItemResponse,
    "`save`, `delete` and `update`": responses.WriteResponse,
    "`Metrics`": responses.Metrics,
    "`RejectedKeys` and `RejectedItems`": responses.RejectedEntry,
}


def rows(text: str) -> Iterator[list[str]]:
    """The rows of the first table in a text, without its head."""
    table = re.search(r"^\|.*\|\n\|[-:| ]+\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    assert table is not None
    for line in table[1].splitlines():
        yield [cell.strip() for cell in line.strip("|").split("|")]


def below(heading: str) -> str:
    """What stands below a heading of the README, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", README, re.M | re.S)
    assert found is not None, heading
    return found[1]


def test_the_limits_are_those_of_the_package() -> None:
    block = README.partition("<!-- limits:begin -->")[2].partition("<!-- limits:end -->")[0]
    told = {name.strip("`"): value for _, value, name in rows(block)}
    assert told.keys() >= {"BATCH_GET_MAX_KEYS", "BATCH_WRITE_MAX_OPERATIONS", "ITEM_MAX_BYTES"}
    for name, value in told.items():
        power = re.fullmatch(r"1E([+-]\d+)", value)
        if power is not None:
            assert name.endswith("_EXPONENT")
            assert int(power[1]) == getattr(limits, name), name
            continue
        number, _, unit = value.partition(" ")
        assert int(number.replace(",", "")) * UNITS[unit] == getattr(limits, name), name


@pytest.mark.parametrize("heading", SHAPES)
def test_every_member_of_an_answer_is_told(heading: str) -> None:
    hints = get_type_hints(SHAPES[heading], include_extras=True)
    told = {name.strip("`"): there for name, there, _ in rows(below(heading))}
    assert list(told) == list(hints)
    for name, hint in hints.items():
        assert (told[name] == "always") == (get_origin(hint) is not NotRequired), name


def test_every_error_is_told() -> None:
    told = " ".join(first for first, *_ in rows(below("Errors and the account")))
    # All but the root.
    for name in set(errors.__all__) - {"AiobatchError"}:
        assert f"`{name}`" in told, name


def test_every_keyword_of_the_client_that_is_named_exists() -> None:
    known = set(inspect.signature(aiobatch.DynamoDB).parameters)
    for path in PAGES:
        for made in re.findall(r"`DynamoDB\(([^`]*)\)`", path.read_text(encoding="utf-8")):
            named = set(re.findall(r"(\w+)=", re.sub(r"\{.*?\}|Retry\([^)]*\)", "", made)))
            assert named <= known, f"{path.name}: {made}"


def test_the_figures_of_the_demo_have_their_place() -> None:
    assert README.count("<!-- demo:begin -->") == README.count("<!-- demo:end -->") == 1


@pytest.mark.parametrize(
    "path",
    [*PAGES, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_links_inside_the_repository_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), f"{path.name}: {target}"
        assert file.is_relative_to(ROOT), f"{path.name}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{path.name}: {target}"


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as Markdown viewers make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}
