"""The scripts that read, against every backend."""

import json

import pytest

from aiobatch import DynamoDB
from examples import (
    basic_get,
    consistent_read,
    dashboard,
    many_keys,
    native_numbers,
    projection,
    reserved_words,
)
from examples.models import sample_users
from tests.examples.conftest import Held, Seeded, Troubled

Printed = pytest.CaptureFixture[str]


async def test_basic_get(db: DynamoDB, seeded: Seeded, capsys: Printed) -> None:
    users = sample_users(5)
    response = await basic_get.main(db, await seeded(users))
    assert response["Items"] == [user.to_resource_dictionary() for user in users[1:3]]
    assert response["Count"] == 2
    assert response["MissingKeys"] == [{"pk": "user#nobody", "sk": "user#nobody"}]
    assert capsys.readouterr().out.splitlines() == [
        "Retrieved 2 users",
        "  - First1 Last1",
        "  - First2 Last2",
        "Missing: [{'pk': 'user#nobody', 'sk': 'user#nobody'}]",
    ]


async def test_projection(db: DynamoDB, seeded: Seeded, capsys: Printed) -> None:
    response = await projection.main(db, await seeded(sample_users(5)))
    assert response["Items"] == [
        {
            "id": f"user-00{n}",
            "first_name": f"First{n}",
            "last_name": f"Last{n}",
            "email": f"user{n}@example.com",
        }
        for n in (1, 2, 3)
    ]
    assert capsys.readouterr().out.splitlines() == [
        *(f"First{n} - user{n}@example.com" for n in (1, 2, 3)),
        "Attributes: email, first_name, id, last_name",
    ]


async def test_reserved_words(db: DynamoDB, seeded: Seeded, capsys: Printed) -> None:
    with_placeholders, plain = await reserved_words.main(db, await seeded(sample_users(3)))
    assert with_placeholders["Items"] == [
        {
            "id": f"user-00{n}",
            "name": f"First{n} Last{n}",
            "status": "active" if n == 1 else "invited",
            "email": f"user{n}@example.com",
        }
        for n in range(3)
    ]
    assert plain["Items"] == with_placeholders["Items"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == "First1 Last1 is active"
    assert printed[-1] == "Without placeholders: the same"


async def test_consistent_read(
    troubled: Troubled, seeded: Seeded, held: Held, capsys: Printed
) -> None:
    name = await seeded([])
    db, proxy = await troubled()
    response = await consistent_read.main(db, name)
    assert response["Items"] == [user.to_resource_dictionary() for user in sample_users(3)]
    assert len(await held(name)) == 3
    # What a strongly consistent read is: said so in the request.
    (read,) = (seen for seen in proxy.requests if seen.operation == "BatchGetItem")
    assert json.loads(read.body or b"")["RequestItems"][name]["ConsistentRead"] is True
    assert capsys.readouterr().out == "Wrote 3 users and read 3 back\n"


async def test_many_keys(troubled: Troubled, seeded: Seeded, capsys: Printed) -> None:
    users = sample_users(150)
    name = await seeded(users)
    db, proxy = await troubled()
    response = await many_keys.main(db, name)
    assert response["Items"] == [user.to_resource_dictionary() for user in users]
    assert sorted(seen.entries for seen in proxy.requests) == [50, 100]
    assert capsys.readouterr().out == "Got 150 items in 2 requests\n"


async def test_native_numbers(db: DynamoDB, seeded: Seeded, capsys: Printed) -> None:
    response = await native_numbers.main(db, await seeded(native_numbers.ORDERS))
    read = [(item["total"], item["quantity"]) for item in response["Items"]]
    assert read == [(29.97, 3), (1249.5, 1), (40, 2)]
    assert [[type(number) for number in pair] for pair in read] == [
        [float, int],
        [float, int],
        [int, int],
    ]
    printed = capsys.readouterr().out
    assert "order#1: total 29.97 is of type float\n" in printed
    assert "order#3: total 40 is of type int\n" in printed
    assert "Decimal" not in printed


async def test_dashboard(db: DynamoDB, seeded: Seeded, capsys: Printed) -> None:
    loaded = await dashboard.main(db, await seeded(dashboard.SEED))
    profile, settings, orders, favorites, _ = dashboard.SEED
    assert loaded == {
        "profile": profile,
        "settings": settings,
        "orders": orders,
        "favorites": favorites,
    }
    assert "Dashboard of Ada: favorites, orders, profile, settings" in capsys.readouterr().out


async def test_dashboard_of_which_only_a_part_exists(db: DynamoDB, seeded: Seeded) -> None:
    loaded = await dashboard.load_user_dashboard(db, await seeded(dashboard.SEED), "u-8")
    assert loaded == {"profile": dashboard.SEED[-1]}
