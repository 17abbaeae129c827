"""Every test of the codec over every codec that is there."""

from collections.abc import Iterator

import pytest

from aiobatch.codec import Codec
from tests.codec import subject


# Of a module, and not of a function: hypothesis calls a test's function many times.
@pytest.fixture(scope="module", autouse=True, params=list(subject.CODECS))
def codec(request: pytest.FixtureRequest) -> Iterator[Codec]:
    """The codec in turn."""
    yield subject.take(request.param)
    subject.take("python")
