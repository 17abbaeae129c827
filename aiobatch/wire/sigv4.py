"""AWS's signature, version 4, for the one shape of request that goes to DynamoDB.

Always a POST to ``/`` without a query, with the same headers in the same order: what a general
signer works out anew for each request is written down here. A test holds it to botocore's own.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import NamedTuple, Protocol

__all__ = ["CONTENT_TYPE", "Credentials", "Signed", "Signer"]

CONTENT_TYPE = "application/x-amz-json-1.0"

_ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = "content-type;host;x-amz-date;x-amz-target"
_SIGNED_WITH_TOKEN = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"


class Credentials(Protocol):
    """Credentials of one moment, as botocore's ``get_frozen_credentials()`` gives them."""

    @property
    def access_key(self) -> str: ...  # noqa: D102

    @property
    def secret_key(self) -> str: ...  # noqa: D102

    @property
    def token(self) -> str | None: ...  # noqa: D102


class Signed(NamedTuple):
    """The values of ``X-Amz-Date`` and ``Authorization``."""

    date: str
    authorization: str


class Signer:
    """Signs for one region. The day's key is derived once for each pair of credentials."""

    def __init__(self, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._second = 0
        self._date = ""
        self._key_of: tuple[str, str] | None = None
        self._key = b""

    def sign(
        self, credentials: Credentials, now: float, *, host: str, target: str, body_hash: str
    ) -> Signed:
        """Sign one request.

        Args:
            credentials: whose request it is.
            now: seconds since the epoch.
            host: the value of ``Host``.
            target: the value of ``X-Amz-Target``.
            body_hash: the body's SHA-256 in lower-case hex.
        """
        second = int(now)
        if second != self._second:
            self._date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
            self._second = second
        date = self._date
        day = date[:8]
        token = credentials.token
        if token:
            names = _SIGNED_WITH_TOKEN
            # Inner white space counts once.
            more = f"x-amz-security-token:{' '.join(token.split())}\n"
        else:
            names = _SIGNED
            more = ""
        canonical = (
            f"POST\n/\n\ncontent-type:{CONTENT_TYPE}\nhost:{host}\nx-amz-date:{date}\n{more}"
            f"x-amz-target:{target}\n\n{names}\n{body_hash}"
        )
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"{_ALGORITHM}\n{date}\n{scope}\n{digest}"
        signature = hmac.digest(self._key_for(day, credentials.secret_key), to_sign.encode(), _HASH)
        return Signed(
            date,
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names},"
            f" Signature={signature.hex()}",
        )

    def _key_for(self, day: str, secret: str) -> bytes:
        if self._key_of != (day, secret):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), _HASH)
            self._key, self._key_of = key, (day, secret)
        return self._key


_HASH = "sha256"
