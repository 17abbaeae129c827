"""The scripts for when something is left over or fails, against every backend."""

import logging

import pytest

from aiobatch.testing import Fault
from examples import after_an_error, extra_retries, leftovers_by_hand
from examples.models import sample_users
from tests.examples.conftest import Held, Seeded, Troubled

Printed = pytest.CaptureFixture[str]


async def test_leftovers_by_hand(
    troubled: Troubled,
    seeded: Seeded,
    held: Held,
    capsys: Printed,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = await seeded([])
    db, proxy = await troubled(leftovers_by_hand.trouble, leftovers_by_hand.RETRY)
    with caplog.at_level(logging.WARNING, logger=leftovers_by_hand.__name__):
        items = await leftovers_by_hand.main(db, name)
    everyone = [user.to_resource_dictionary() for user in sample_users(50)]
    assert sorted(items, key=lambda item: item["id"]) == everyone
    assert len(await held(name)) == 50
    assert proxy.unused == 0
    assert proxy.faults_met == {"partial": 2}
    assert capsys.readouterr().out.splitlines() == [
        "Wrote 40 users",
        "Warning: 10 users unprocessed",
        "Wrote 10 more",
        "Warning: 25 keys unprocessed",
        "Read 50 users",
    ]
    assert caplog.messages == ["25 keys unprocessed"]


async def test_leftovers_by_hand_without_any(
    troubled: Troubled, seeded: Seeded, capsys: Printed
) -> None:
    name = await seeded([])
    db, _ = await troubled()
    assert len(await leftovers_by_hand.main(db, name)) == 50
    assert capsys.readouterr().out == "Wrote 50 users\nRead 50 users\n"


class TestExtraRetries:
    async def test_main(self, troubled: Troubled, seeded: Seeded, capsys: Printed) -> None:
        users = sample_users(60)
        name = await seeded(users)
        db, proxy = await troubled(extra_retries.trouble, extra_retries.RETRY)
        items = await extra_retries.main(db, name, pause=0.0)
        everyone = [user.to_resource_dictionary() for user in users]
        assert sorted(items, key=lambda item: item["id"]) == everyone
        assert proxy.unused == 0
        assert proxy.faults_met["partial"] == 6
        assert proxy.faults_met.total() == 7
        assert capsys.readouterr().out.splitlines() == [
            "15 keys are left, retrying in 0 s ...",
            "4 keys are left, retrying in 0 s ...",
            "With a loop: 60 users, 0 keys left",
            "With a policy: 60 users, 0 keys left after 4 requests",
        ]

    async def test_the_loop_ends_and_says_what_is_left(
        self, troubled: Troubled, seeded: Seeded
    ) -> None:
        users = sample_users(10)
        name = await seeded(users)
        db, proxy = await troubled(retry=extra_retries.RETRY)
        never = users[3].to_resource_dictionary()
        proxy.always(Fault.partial(entry=lambda entry: entry.value["pk"] == {"S": never["pk"]}))
        keys = [{"pk": f"user#{user.id}", "sk": f"user#{user.id}"} for user in users]
        items, left = await extra_retries.batch_get_with_retry(
            db, keys, name, max_attempts=2, pause=0.0
        )
        assert len(items) == 9
        assert left == [keys[3]]
        assert left[0] is keys[3]


async def test_after_an_error(
    troubled: Troubled, seeded: Seeded, held: Held, capsys: Printed
) -> None:
    name = await seeded([])
    db, proxy = await troubled(after_an_error.trouble, after_an_error.RETRY)
    response = await after_an_error.main(db, name)

    (rejected,) = response["RejectedItems"]
    assert (rejected["index"], rejected["code"]) == (7, "ValidationException")
    assert rejected["item"].id == "user-007"
    unknown = {user.id for user in response["UnknownItems"]}
    unprocessed = {user.id for user in response["UnprocessedItems"]}
    assert "user-030" in unknown
    assert len(unknown) == 25
    assert len(unprocessed) == response["UnprocessedCount"] == 10
    assert response["ProcessedCount"] + 1 + 25 + 10 == 75

    # In the end everything is there but for what DynamoDB refuses.
    everyone = {(f"user#{user.id}", f"user#{user.id}") for user in sample_users(75)}
    assert everyone - set(await held(name)) == {("user#user-007", "user#user-007")}
    assert proxy.unused == 0
    assert capsys.readouterr().out.splitlines() == [
        "Written: 39",
        "Refused: item 7, ValidationException: Type mismatch for an index key",
        "Unknown: 25, not written: 10",
        "Written at the second attempt: 35",
    ]


async def test_after_no_error(troubled: Troubled, seeded: Seeded, capsys: Printed) -> None:
    db, _ = await troubled()
    response = await after_an_error.main(db, await seeded([]))
    assert response["ProcessedCount"] == 75
    assert capsys.readouterr().out.splitlines()[0] == "Written: 75"
