"""What is known of key names, and when it may be asked for again."""

from aiobatch.codec import KeySchema
from aiobatch.engine.schemas import KeyBook

DESCRIBED = KeySchema.from_names(("pk", "sk"))


def test_names_are_learnt_until_they_are_forgotten() -> None:
    book = KeyBook()
    assert book.get("users") is None
    book.learn("users", ["pk", "sk"])
    learnt = book.get("users")
    assert learnt == KeySchema(("pk", "sk"), ordered=False, types=None)
    # What is known already is at least as good.
    book.learn("users", ["id"])
    assert book.get("users") is learnt
    # Except for what DynamoDB itself says.
    book.describe("users", DESCRIBED)
    book.learn("users", ["id"])
    assert book.get("users") is DESCRIBED
    assert book.get("orders") is None
    book.forget("orders")
    book.forget("users")
    assert book.get("users") is None


def test_a_table_is_described_by_one_at_a_time() -> None:
    book = KeyBook()
    assert book.turn("users") is book.turn("users")
    assert book.turn("users") is not book.turn("orders")


def test_names_are_doubted_once_in_ten_seconds() -> None:
    book = KeyBook()
    assert book.may_doubt("users", 0.0)
    assert not book.may_doubt("users", 9.9)
    # Each table by itself.
    assert book.may_doubt("orders", 9.9)
    # From the last time on that was allowed, and not from each time that somebody asks.
    assert book.may_doubt("users", 10.0)
    assert not book.may_doubt("users", 19.9)
    assert book.may_doubt("users", 20.0)
