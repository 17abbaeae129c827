"""The public names of ``aiobatch.bulk``."""

import inspect
import re

import aiobatch
from aiobatch import bulk
from aiobatch.bulk import errors


def test_names_are_documented() -> None:
    assert len(set(bulk.__all__)) == len(bulk.__all__)
    for name in bulk.__all__:
        value = getattr(bulk, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def test_all_errors_are_public_and_in_the_tree() -> None:
    for name in errors.__all__:
        assert name in bulk.__all__
        error = getattr(errors, name)
        assert issubclass(error, aiobatch.AiobatchError)
        # It is drawn.
        assert re.search(rf"── {name}\b", errors.__doc__ or ""), name
