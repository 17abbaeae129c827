"""The server that tests of the client script, for tests of the wires as well."""

from tests.client.conftest import server, shared_session

__all__ = ["server", "shared_session"]
