"""moto's DynamoDB, served from this very process."""

import contextlib
import logging
import os
from collections.abc import Iterator

REGION = "us-east-1"


@contextlib.contextmanager
def embedded_server() -> Iterator[str]:
    """Serve moto on a free loopback port, and yield its address."""
    from moto.server import ThreadedMotoServer

    # werkzeug would tell of its start, and then of every request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # Port 0: on a busy port start() would wait for ever.
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        # stop() ends the thread but leaves the listening socket open.
        if server._server is not None:
            server._server.server_close()


@contextlib.contextmanager
def placeholder_credentials() -> Iterator[None]:
    """Let no AWS setting of the user's own, nor a proxy, come between us and the loopback."""
    kept = dict(os.environ)
    for name in kept:
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ.update(
        AWS_ACCESS_KEY_ID="embedded",
        AWS_SECRET_ACCESS_KEY="embedded",
        AWS_DEFAULT_REGION=REGION,
        AWS_REGION=REGION,
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
