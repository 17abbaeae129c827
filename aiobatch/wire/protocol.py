"""What the engine asks of a wire. Any object of this shape serves, a fake one in tests too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Request", "Wire"]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to DynamoDB.

    Attributes:
        operation: the API operation, such as ``"BatchGetItem"``.
        table: the name or ARN of the table it is about (endpoints may depend on it).
        body: the JSON body, sent byte for byte.
    """

    operation: str
    table: str
    body: bytes


class Wire(Protocol):
    """Sends requests, each exactly once: retries are the engine's."""

    @property
    def max_concurrency(self) -> int:
        """How many requests can be under way at once; more would only queue for a connection."""
        ...

    async def send(self, request: Request) -> bytes:
        """Return the body of a successful answer, its checksum verified.

        Raises:
            ServiceError: DynamoDB answered with an error.
            WireError: there was no answer, or one that cannot be trusted.
        """
        ...

    async def aclose(self) -> None:
        """Close what this wire opened, and nothing else."""
        ...
