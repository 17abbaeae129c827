"""A Ray that does not start is told of, with what it said."""

import sys
from pathlib import Path

import pytest

from tests.engines import ray_node


def test_a_ray_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import pathlib, sys; logs = pathlib.Path(sys.argv[1], 'session_2026', 'logs');"
        "logs.mkdir(parents=True); (logs / 'raylet.err').write_text('no port is free');"
        "print('starting'); sys.exit(1)"
    )
    monkeypatch.setattr(
        ray_node, "_command", lambda directory: [sys.executable, "-c", script, str(directory)]
    )
    with (
        pytest.raises(ray_node.RayUnavailable) as caught,
        ray_node.ray_node(tmp_path, {}),
    ):
        pytest.fail("there is a Ray")
    assert str(caught.value) == (
        "Ray did not start in 3 attempts of up to 180 s."
        "\n--- output.log\nstarting\n--- raylet.err\nno port is free"
    )
