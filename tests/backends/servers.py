"""Each backend: how it starts, and its documented departures from DynamoDB."""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from moto.server import ThreadedMotoServer

from tests.backends.model import Backend, BackendUnavailable, Quirk
from tests.backends.process import answers, running_server

ROOT = Path(__file__).resolve().parents[2]
MINISTACK = ROOT / ".venv-ministack" / "bin" / "ministack"
DYNALITE = ROOT / "tests" / "backends" / "dynalite" / "node_modules" / "dynalite" / "cli.js"

MOTO_QUIRKS = frozenset(
    {
        Quirk.DUPLICATE_WRITES_ACCEPTED,
        Quirk.EQUAL_ITEMS_OVER_TABLES_REFUSED,
        Quirk.TOO_MANY_WRITES_ACCEPTED,
        Quirk.TOO_MANY_WRITES_OVER_TABLES_ACCEPTED,
        Quirk.EMPTY_KEYS_READABLE,
        Quirk.WRONG_KEY_TYPES_READABLE,
        Quirk.LONG_NUMBERS_ACCEPTED,
        Quirk.LARGE_NUMBERS_ACCEPTED,
        Quirk.EMPTY_SETS_ACCEPTED,
        Quirk.REJECTED_BATCH_PARTLY_WRITTEN,
        Quirk.LEFTOVER_PROJECTION_LOST,
        Quirk.WRITE_CAPACITY_WRONG,
        Quirk.CAPACITY_UNASKED,
        Quirk.LARGEST_ITEMS_REFUSED,
        Quirk.INDEXED_PLACEHOLDER_REFUSED,
        Quirk.TRANSACTION_PROJECTIONS_IGNORED,
        Quirk.TRANSACTION_READS_LIMITED,
        Quirk.TRANSACTION_TOKENS_IGNORED,
        Quirk.NO_KEEP_ALIVE,
    }
)
MINISTACK_QUIRKS = frozenset(
    {
        Quirk.TOO_MANY_KEYS_OVER_TABLES_ACCEPTED,
        Quirk.READ_CAPACITY_UNTOLD,
        Quirk.READS_NEVER_CUT,
        Quirk.EXPONENT_KEYS_NOT_FOUND,
        Quirk.RESERVED_WORD_IS_500,
    }
)
DYNALITE_QUIRKS = frozenset(
    {
        Quirk.TOO_MANY_WRITES_OVER_TABLES_ACCEPTED,
        Quirk.LEFTOVER_PROJECTION_LOST,
        Quirk.READS_CUT_EARLY,
        Quirk.READ_ORDER_SHUFFLED,
        Quirk.TABLE_ARN_REFUSED,
        Quirk.NO_TRANSACTIONS,
    }
)


@contextlib.contextmanager
def moto() -> Iterator[Backend]:
    # It would log a line for every request.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    # Port 0: on a busy port start() waits for ever.
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Backend("moto", f"http://{host}:{port}", MOTO_QUIRKS)
    finally:
        server.stop()
        # stop() ends the thread but leaves the listening socket open.
        if server._server is not None:
            server._server.server_close()


@contextlib.contextmanager
def ministack() -> Iterator[Backend]:
    if not MINISTACK.exists():
        raise BackendUnavailable(_not_installed("ministack", "it has a .venv-ministack"))
    with running_server(
        "ministack",
        lambda port: [str(MINISTACK)],
        lambda port: {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"},
    ) as url:
        yield Backend("ministack", url, MINISTACK_QUIRKS)


@contextlib.contextmanager
def dynalite() -> Iterator[Backend]:
    node = shutil.which("node")
    if node is None:
        raise BackendUnavailable(_not_installed("dynalite", "it needs Node.js 20 or later"))
    if not DYNALITE.exists():
        raise BackendUnavailable(_not_installed("dynalite", "npm installs it"))
    with running_server(
        "dynalite",
        lambda port: [
            *(node, str(DYNALITE), "--host", "127.0.0.1", "--port", str(port)),
            *("--createTableMs", "0", "--deleteTableMs", "0"),
        ],
    ) as url:
        yield Backend("dynalite", url, DYNALITE_QUIRKS)


@contextlib.contextmanager
def given_endpoint() -> Iterator[Backend]:
    """The server that the environment names. Nothing is assumed about it but DynamoDB's rules."""
    url = os.environ["AIOBATCH_TEST_ENDPOINT"].strip()
    if not answers(url, timeout=10):
        raise BackendUnavailable(f"nothing answers at AIOBATCH_TEST_ENDPOINT={url}")
    yield Backend("endpoint", url)


def _not_installed(name: str, how: str) -> str:
    return (
        f"{name} is not installed ({how}). `make venv` installs every backend; to leave this one "
        "out, name the others in AIOBATCH_TEST_BACKENDS, such as AIOBATCH_TEST_BACKENDS=moto"
    )
