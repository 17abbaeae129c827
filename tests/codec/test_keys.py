import dataclasses
import json
import pickle
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pytest
from boto3.dynamodb.types import Binary  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from aiobatch.codec import KeySchema, Malformed, Refusal, identity_of
from tests.codec.subject import encode_item, encode_key
from tests.codec.values import items, keys, plain

BOTH = KeySchema.from_names(("pk", "sk"))
ONE = KeySchema.from_names(["pk"])


def refused(key: Any, schema: KeySchema | None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        encode_key(key, schema, None)
    return caught.value


# --- Identity ---


@settings(deadline=None, max_examples=100)
@given(items(), keys, keys)
def test_one_identity_wherever_a_key_comes_from(item: dict[str, Any], pk: Any, sk: Any) -> None:
    item = {**item, "pk": pk, "sk": sk}
    fragment, identity = encode_item(item, BOTH, None)
    assert identity == encode_key({"sk": sk, "pk": pk}, None, None)
    assert identity == encode_key({"pk": pk, "sk": sk}, BOTH, None)
    assert identity == identity_of(orjson.loads(fragment), ("sk", "pk"))
    assert identity == identity_of(orjson.loads(identity), ["pk", "sk"])


@settings(deadline=None, max_examples=200)
@given(keys, keys)
def test_identities_are_equal_if_and_only_if_keys_are(one: Any, other: Any) -> None:
    same = encode_key({"pk": one}, None, None) == encode_key({"pk": other}, None, None)
    assert same == (plain(one) == plain(other))


@pytest.mark.parametrize(
    "one_key",
    [
        [5, 5.0, Decimal("5.00"), Decimal("0.5E1"), np.int64(5), np.float32(5)],
        [b"x", bytearray(b"x"), memoryview(b"x"), Binary(b"x")],
        ["x", np.str_("x")],
    ],
    ids=["number", "binary", "string"],
)
def test_one_key_in_many_forms(one_key: list[Any]) -> None:
    assert len({encode_key({"pk": value}, ONE, None) for value in one_key}) == 1


def test_the_service_may_write_a_key_otherwise() -> None:
    assert identity_of({"pk": {"N": "5.00"}}, ["pk"]) == b'{"pk":{"N":"5"}}'
    # Of base64, only the bytes count: here the last two bits mean nothing.
    assert identity_of({"pk": {"B": "YR=="}}, ["pk"]) == b'{"pk":{"B":"YQ=="}}'


def test_a_key_is_what_is_sent() -> None:
    assert encode_key({"b": 1, "a": "x"}, None, None) == b'{"a":{"S":"x"},"b":{"N":"1"}}'


def test_forms_of_a_key() -> None:
    @dataclasses.dataclass
    class Key:
        sk: int
        pk: str

    assert encode_key(Key(1, "a"), BOTH, None) == encode_key({"pk": "a", "sk": 1}, BOTH, None)
    assert KeySchema.from_key(Key(1, "a")) == KeySchema(("pk", "sk"), ordered=False)
    with pytest.raises(Refusal, match="is a str, not a key: pass a mapping"):
        encode_key("a", None, None)
    # The caller's function makes a key of what is none, and values of its values.
    assert encode_key("a", None, lambda pk: {"pk": pk}) == b'{"pk":{"S":"a"}}'
    assert encode_key({"pk": object()}, None, lambda _value: "a") == b'{"pk":{"S":"a"}}'


@pytest.mark.parametrize(
    "attributes",
    [
        None,
        [],
        "pk",
        {},
        {"sk": {"S": "a"}},
        {"pk": "a"},
        {"pk": None},
        {"pk": {}},
        {"pk": {"S": "a", "N": "5"}},
        {"pk": {"S": 5}},
        {"pk": {"S": None}},
        {"pk": ["S"]},
        {"pk": {"N": 5}},
        {"pk": {"N": "five"}},
        {"pk": {"B": "not base64!"}},
        {"pk": {"B": "YQ"}},
        {"pk": {"B": "é"}},
        {"pk": {"BOOL": True}},
        {"pk": {"SS": ["a"]}},
        {"pk": {"M": {}}},
    ],
    ids=str,
)
def test_no_identity_to_be_had(attributes: Any) -> None:
    with pytest.raises(Malformed) as caught:
        identity_of(attributes, ["pk"])
    assert caught.value.__context__ is None


# --- What a key may be ---

MISSING = "is a key attribute of the table, and missing"
NO_NAME = "has an attribute whose name is an int: names are strings"
EMPTY = "is a key attribute, which must not be empty"
KINDS = "is a key attribute, which must be a string, a number or binary"
SURROGATE = "has a lone surrogate, which is no valid Unicode: repair the text"
LONG_PK = "bytes long: a partition key has at most 2048; store a hash of it"
LONG_SK = "bytes long: a sort key has at most 1024; store a hash of it"
TWO_LONG = (
    "has two key attributes of over 1024 bytes, the most that a sort key has; store a hash of one"
)

REFUSALS: list[tuple[Any, KeySchema | None, str, str]] = [
    ({}, None, "", "has 0 attributes; a key has one or two"),
    ({"a": 1, "b": 2, "c": 3}, None, "", "has 3 attributes; a key has one or two"),
    ({"pk": "271828"}, BOTH, "sk", MISSING),
    ({"sk": "271828", "x": 1}, BOTH, "pk", MISSING),
    (
        {"pk": "a", "sk": "b", "x": 271828},
        BOTH,
        "x",
        "is not a key attribute of the table: pass pk and sk alone",
    ),
    ({"pk": "a", 5: 271828}, ONE, "", NO_NAME),
    ({5: 1, "a": 271828}, None, "", NO_NAME),
    ({"\ud800": 271828}, None, "", f"has an attribute whose name {SURROGATE}"),
    ({"pk": ""}, ONE, "pk", EMPTY),
    ({"pk": b""}, None, "pk", EMPTY),
    ({"pk": None}, ONE, "pk", KINDS),
    ({"pk": True}, ONE, "pk", KINDS),
    ({"pk": [271828]}, ONE, "pk", KINDS),
    ({"pk": {"271828"}}, ONE, "pk", KINDS),
    # As deep as an item's value may be.
    ({"pk": json.loads("[" * 31 + "271828" + "]" * 31)}, ONE, "pk", KINDS),
    (
        {"pk": float("nan")},
        ONE,
        "pk",
        "is NaN, which DynamoDB cannot store: leave it out, or store None",
    ),
    ({"pk": "271828\ud800"}, ONE, "pk", SURROGATE),
    ({"pk": "271828" * 342}, ONE, "pk", f"is 2052 {LONG_PK}"),
    ({"pk": "é" * 1025}, ONE, "pk", f"is 2050 {LONG_PK}"),
    ({"pk": b"x" * 2049}, None, "pk", f"is 2049 {LONG_PK}"),
    ({"pk": "a", "sk": "x" * 1025}, BOTH, "sk", f"is 1025 {LONG_SK}"),
    ({"pk": "a", "sk": b"x" * 1025}, BOTH, "sk", f"is 1025 {LONG_SK}"),
    # Roles unknown: only one of them can be the partition key.
    ({"a": "x" * 1025, "b": "x" * 1025}, None, "", TWO_LONG),
]


@pytest.mark.parametrize(("key", "schema", "path", "reason"), REFUSALS, ids=range(len(REFUSALS)))
def test_refusals(key: Any, schema: KeySchema | None, path: str, reason: str) -> None:
    refusal = refused(key, schema)
    assert (refusal.path, refusal.reason) == (path, reason)
    assert "271828" not in str(refusal)
    assert refusal.__context__ is None


@pytest.mark.parametrize(
    ("key", "schema"),
    [
        ({"pk": "x" * 2048, "sk": "x" * 1024}, BOTH),
        ({"pk": b"x" * 2048, "sk": b"x" * 1024}, BOTH),
        ({"pk": "é" * 1024, "sk": Decimal("1." + "1" * 37)}, BOTH),
        ({"a": "x" * 2048, "b": "x" * 1024}, None),
        ({"a": "x" * 1024, "b": "x" * 2048}, KeySchema(("a", "b"), ordered=False)),
        ({"a": " ", "b": 0}, None),
    ],
    ids=range(6),
)
def test_at_the_limit(key: Any, schema: KeySchema | None) -> None:
    assert encode_key(key, schema, None)


def test_an_item_needs_its_key() -> None:
    cases: list[tuple[dict[str, Any], str, str]] = [
        ({"pk": "a"}, "sk", MISSING),
        ({"sk": "a"}, "pk", MISSING),
        ({"pk": "", "sk": 1}, "pk", EMPTY),
        ({"pk": "a", "sk": {"x": 271828}}, "sk", KINDS),
        ({"pk": "a", "sk": "271828" * 200}, "sk", f"is 1200 {LONG_SK}"),
    ]
    for item, path, reason in cases:
        with pytest.raises(Refusal) as caught:
            encode_item({**item, "other": ""}, BOTH, None)
        assert (caught.value.path, caught.value.reason) == (path, reason)
        assert "271828" not in str(caught.value)


# --- Schemas ---

DESCRIPTION = {
    "TableName": "orders",
    "KeySchema": [
        {"AttributeName": "when", "KeyType": "RANGE"},
        {"AttributeName": "user", "KeyType": "HASH"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "user", "AttributeType": "S"},
        {"AttributeName": "when", "AttributeType": "N"},
        {"AttributeName": "of an index", "AttributeType": "B"},
    ],
}


def test_a_described_table() -> None:
    schema = KeySchema.from_description(DESCRIPTION)
    assert schema == KeySchema(("user", "when"), ordered=True, types={"user": "S", "when": "N"})
    assert encode_key({"when": 5, "user": "a"}, schema, None)
    assert str(refused({"user": "a", "when": "5"}, schema)) == (
        "when: is a key attribute that is a number in the table, and a string here"
    )
    assert hash(schema) == hash(KeySchema.from_names(("user", "when")))
    assert pickle.loads(pickle.dumps(schema)) == schema


@pytest.mark.parametrize(
    "description",
    [
        None,
        [],
        {},
        {**DESCRIPTION, "KeySchema": []},
        {**DESCRIPTION, "KeySchema": None},
        {**DESCRIPTION, "KeySchema": [{"AttributeName": "user", "KeyType": "RANGE"}]},
        {**DESCRIPTION, "KeySchema": [{"AttributeName": "user", "KeyType": "OTHER"}]},
        {**DESCRIPTION, "KeySchema": [{"AttributeName": 5, "KeyType": "HASH"}]},
        {**DESCRIPTION, "KeySchema": [{"AttributeName": ["user"], "KeyType": "HASH"}]},
        {
            **DESCRIPTION,
            "KeySchema": [
                {"AttributeName": "user", "KeyType": "HASH"},
                {"AttributeName": "when", "KeyType": "OTHER"},
            ],
        },
        {**DESCRIPTION, "AttributeDefinitions": []},
        {
            **DESCRIPTION,
            "AttributeDefinitions": [
                {"AttributeName": "user", "AttributeType": "M"},
                {"AttributeName": "when", "AttributeType": "N"},
            ],
        },
        {**DESCRIPTION, "AttributeDefinitions": [{"AttributeName": "user", "AttributeType": "M"}]},
    ],
    ids=range(13),
)
def test_no_description(description: Any) -> None:
    told = r"^the description of the table has no key schema of DynamoDB's$"
    with pytest.raises(Malformed, match=told):
        KeySchema.from_description(description)


def test_types_of_which_one_is_known() -> None:
    schema = KeySchema(("pk", "sk"), ordered=True, types={"sk": "N"})
    assert encode_key({"pk": b"a", "sk": 5}, schema, None)
    assert str(refused({"pk": b"a", "sk": "5"}, schema)) == (
        "sk: is a key attribute that is a number in the table, and a string here"
    )


def test_names_for_people() -> None:
    assert (ONE.named(), BOTH.named()) == ("pk", "pk and sk")


def test_names() -> None:
    assert KeySchema(("pk", "sk"), ordered=True) == BOTH
    assert ONE.names == ("pk",)
    assert KeySchema.from_names(("b", "a")).in_order == ("a", "b")
    assert KeySchema.from_names(("x" * 255,)).names == ("x" * 255,)
    shape = 'key names must be a tuple or list such as ("pk",) or ("pk", "sk"), not '
    many = "a table has one key attribute (the partition key) or two (and the sort key), not "
    for names, error, text in [
        ("pk", TypeError, f"{shape}str"),
        (b"pk", TypeError, f"{shape}bytes"),
        ({"pk", "sk"}, TypeError, f"{shape}set"),
        ({"pk": "sk"}, TypeError, f"{shape}dict"),
        (None, TypeError, f"{shape}NoneType"),
        (("pk", 5), TypeError, "a key name must be a string, not int"),
        ((), ValueError, f"{many}0"),
        (("a", "b", "c"), ValueError, f"{many}3"),
        (("pk", ""), ValueError, "a key name must not be empty"),
        (
            ("pk", "pk"),
            ValueError,
            "the partition key and the sort key must have different names",
        ),
        (("x" * 256,), ValueError, "a key name has at most 255 characters"),
        (
            ("\ud800",),
            ValueError,
            "a key name must be valid Unicode, without lone surrogates",
        ),
    ]:
        with pytest.raises(error) as caught:
            KeySchema.from_names(names)  # type: ignore[arg-type]
        assert str(caught.value) == text


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=2, unique=True))
def test_a_schema_learnt_from_a_key_does_not_depend_on_its_order(names: list[str]) -> None:
    schema = KeySchema.from_key(dict.fromkeys(names, 1))
    assert schema == KeySchema.from_key(dict.fromkeys(reversed(names), 1))
    assert not schema.ordered
    assert set(schema.names) == set(names)


def test_a_schema_is_learnt_from_a_key_of_the_callers_type() -> None:
    def serialize(key: object) -> object:
        assert isinstance(key, complex)
        return {"pk": key.real, "sk": key.imag}

    assert KeySchema.from_key(2 + 3j, serialize) == KeySchema(("pk", "sk"), ordered=False)


def test_no_schema_to_be_learnt() -> None:
    with pytest.raises(Refusal, match=r"is a str, not a key: pass a mapping"):
        KeySchema.from_key("a")
    for key in ({}, {"a": 1, "b": 2, "c": 3}):
        with pytest.raises(ValueError, match="one key attribute"):
            KeySchema.from_key(key)


def test_a_refusal_is_picklable() -> None:
    refusal = refused({"pk": ""}, ONE)
    copy = pickle.loads(pickle.dumps(refusal))
    assert (copy.path, copy.reason, str(copy)) == (refusal.path, refusal.reason, str(refusal))
