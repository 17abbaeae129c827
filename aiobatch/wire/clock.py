"""The service's clock, for a machine whose own clock is wrong; the same for every wire."""

from __future__ import annotations

import email.utils
import logging
import time
from collections.abc import Mapping

from aiobatch.errors import AccessDenied, ServiceError, WireError

__all__ = ["ServiceClock"]

_log = logging.getLogger("aiobatch.wire")

# SigV4 allows five minutes; a difference of less is not what a signature was refused for.
_SKEW_THAT_MATTERS = 60.0


class ServiceClock:
    """What is known of DynamoDB's clock: nothing, until it refuses a signature for its time.

    Attributes:
        skew: seconds that it is ahead of this machine's.
    """

    def __init__(self) -> None:
        self.skew = 0.0

    def time(self) -> float:
        """Seconds since the epoch, by DynamoDB's clock."""
        return time.time() + self.skew

    def learn_from(
        self, error: ServiceError | WireError, headers: Mapping[str, str], skew: float
    ) -> None:
        """Take the time from a refusal, if it may have been refused for the time.

        The error becomes one to retry then: the next attempt is signed by the right time.

        Args:
            error: what the answer means.
            headers: the answer's, with lower-case names.
            skew: what the refused request was signed with.
        """
        if not isinstance(error, AccessDenied) or error.retryable:
            return
        told = _skew_told_by(headers)
        if abs(told) > _SKEW_THAT_MATTERS and abs(told - skew) > _SKEW_THAT_MATTERS:
            _log.debug("this machine's clock is off by %.0f s: signing by DynamoDB's", told)
            self.skew = told
            error.retryable = True


def _skew_told_by(headers: Mapping[str, str]) -> float:
    """Seconds that the service's clock is ahead of ours, or 0.0 if it did not tell."""
    told = email.utils.parsedate_tz(headers.get("date"))
    if told is None:
        return 0.0
    try:
        return email.utils.mktime_tz(told) - time.time()
    except (OverflowError, ValueError):
        return 0.0
