"""The whole harness on aiobatch alone, with counts that prove it works and measure nothing."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import bench
from benchmarks.peers import BARE, PLAIN_AIOBOTOCORE, SOCKETS, VARIANTS, Variant

HERE = Path(sys.executable)


def in_this_environment(name: str) -> Variant:
    (variant,) = [one for one in VARIANTS if one.name == name]
    return Variant(
        variant.name,
        variant.label,
        variant.adapter,
        variant.environment,
        variant.ours,
        variant.options,
        interpreter=HERE,
    )


PAGE = "\n".join(
    f"<!-- bench:{name}:begin -->\n<!-- bench:{name}:end -->"
    for name in ("environment", "targets", "canned", "stalls", "latency", "lists", "missing")
)


def test_a_run_from_beginning_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clients = [
        in_this_environment(PLAIN_AIOBOTOCORE),
        in_this_environment(BARE),
        in_this_environment(SOCKETS),
        Variant("crashing", "crashing", "there_is_no_such_adapter", "", interpreter=HERE),
        Variant("absent", "absent", "bare", ".venv-of-nobody"),
    ]
    monkeypatch.setattr(bench, "VARIANTS", clients)
    page, kept, readme = tmp_path / "page.md", tmp_path / "out" / "bench.json", tmp_path / "R.md"
    page.write_text(PAGE, encoding="utf-8")
    readme.write_text("no places", encoding="utf-8")
    sections = [word for name in bench.SECTIONS[:5] for word in ("--section", name)]
    status = bench.main(
        [
            *("--plan", "tiny", "--results", str(kept), "--write", str(page)),
            *("--write-if-asked", str(readme), *sections),
        ]
    )
    printed = capsys.readouterr().out
    assert status == 0, printed

    results = json.loads(kept.read_text(encoding="utf-8"))
    ran = {(row["section"], row["op"], row["variant"]) for row in results["rows"]}
    for op in ("get", "put"):
        for client in (PLAIN_AIOBOTOCORE, BARE, SOCKETS):
            assert ("canned", op, client) in ran
        assert ("latency", op, PLAIN_AIOBOTOCORE) in ran
    assert ("stalls", "get", PLAIN_AIOBOTOCORE) in ran
    for row in results["rows"]:
        assert row["runs"], row
        for run in row["runs"]:
            size = 100 if row["op"] == "get" else 25
            # One request for each page: nobody asks less often, or twice.
            assert run["items"] == run["requests"] * size > 0, row
            assert run["cpu"] > 0
            assert run["peak_mb"] > 1
    lists = {(one["op"], one["n"]) for one in results["lists"]}
    assert {("get", 200), ("get", 400), ("put", 200), ("put", 400)} <= lists

    why = {one["who"]: one["why"] for one in results["missing"]}
    assert why["crashing"].startswith("FAILED: ModuleNotFoundError")
    assert why["absent"] == "NOT AVAILABLE: .venv-of-nobody is not installed: see what make said"
    assert "! crashing (canned get small): FAILED" in printed
    assert "no place for any of" in printed

    text = page.read_text(encoding="utf-8")
    assert "aiobatch, plain codec, aiobotocore's wire" in text
    assert "NOT AVAILABLE" in text
    assert "begin -->\n<!-- bench" not in text
    assert readme.read_text(encoding="utf-8") == "no places"

    # The same page comes of the kept figures, without measuring again.
    assert bench.main(["--again", "--results", str(kept), "--write", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == text


def test_aiobatch_that_crashes_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = Variant(PLAIN_AIOBOTOCORE, "ours", "no_such_adapter", "", True, interpreter=HERE)
    monkeypatch.setattr(bench, "VARIANTS", [ours])
    kept = tmp_path / "bench.json"
    arguments = ["--plan", "tiny", "--results", str(kept), "--section", "stalls"]
    assert bench.main(arguments) == 1
    assert "FAILED" in capsys.readouterr().out
    assert json.loads(kept.read_text(encoding="utf-8"))["rows"] == []


def test_a_client_that_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["--only", "nobody"])
    assert "there is no client 'nobody'" in capsys.readouterr().err
