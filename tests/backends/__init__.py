"""Real DynamoDB-compatible servers for the suite: which exist, how they start, how they differ."""

from tests.backends.model import Backend, BackendUnavailable, Quirk
from tests.backends.pool import BackendPool
from tests.backends.selection import Selection, read_selection

__all__ = [
    "Backend",
    "BackendPool",
    "BackendUnavailable",
    "Quirk",
    "Selection",
    "read_selection",
]
