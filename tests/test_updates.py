"""Which updates may be sent twice: what is not surely harmless is taken to matter."""

import pytest

from aiobatch.updates import is_idempotent


@pytest.mark.parametrize(
    "expression",
    [
        "SET a = :a",
        "set #a=:a,#b.c = :b",
        "SET a = :a REMOVE b, #c.d DELETE tags :tags",
        "  REMOVE a  ",
        "DELETE tags :t, #more :t",
        "SET a = if_not_exists(a, :zero)",
        "SET #a = if_not_exists ( #a , :zero ), b = :b",
        # Placeholders and attributes that look like keywords.
        "SET #add = :add, set.remove = :set",
    ],
)
def test_harmless(expression: str) -> None:
    assert is_idempotent(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "ADD hits :one",
        "SET a = :a ADD hits :one",
        "SET stock = stock - :n",
        "SET a = :a + :b",
        "SET a = b",
        "SET a = list_append(a, :more)",
        "SET a = :a, b = list_append(:more, b)",
        "SET a[3] = :a",
        "REMOVE a[0]",
        "SET a = if_not_exists(b, :zero)",
        "SET a = if_not_exists(a, b)",
        "SET a = if_not_exists(a, :zero) + :one",
        "DELETE tags",
        "SET a = :a,",
        "SET a = :a, ",
        "SET a = :a b = :b",
        "SET",
        "",
        "whatever",
        "a = :a",
        "SET a = (:a)",
        "SET(a = :a",
    ],
)
def test_it_matters_or_is_not_understood(expression: str) -> None:
    assert not is_idempotent(expression)
