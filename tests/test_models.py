"""Typed items: which model makes what of an item, and how it says no."""

import pickle
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import attrs
import msgspec
import pydantic
import pytest

from aiobatch import ModelMismatch
from aiobatch.codec import encode_item
from aiobatch.models import converter, mismatch

ITEM: dict[str, Any] = {"pk": "user#1", "age": 7, "tags": {"a", "b"}, "extra": None}


class Pydantic(pydantic.BaseModel):
    pk: str
    age: int = 0
    tags: set[str] = set()


@dataclass
class Dataclass:
    pk: str
    age: int = 0
    tags: set[str] = field(default_factory=set)
    seen: int = field(default=0, init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    pk: str
    age: int = 0
    tags: frozenset[str] | set[str] = frozenset()


class Struct(msgspec.Struct):
    pk: str
    age: int = 0
    tags: set[str] = set()


@attrs.define
class Attrs:
    pk: str
    age: int = 0
    tags: set[str] = attrs.Factory(set)


class Named(NamedTuple):
    pk: str
    age: int


CLASSES: list[Any] = [Pydantic, Dataclass, Frozen, Struct, Attrs]


@pytest.mark.parametrize("model", CLASSES)
def test_a_class_takes_the_attributes_that_it_has_fields_for(model: Any) -> None:
    convert = converter(model)
    assert convert is not None
    made = convert(ITEM)
    assert type(made) is model
    assert (made.pk, made.age, made.tags) == ("user#1", 7, {"a", "b"})
    assert convert({"pk": "b"}).age == 0


@pytest.mark.parametrize("model", CLASSES)
def test_what_was_read_can_be_written_again(model: Any) -> None:
    convert = converter(model)
    assert convert is not None
    made = convert({"pk": "user#1", "age": 7, "tags": {"a"}})
    if model is not Dataclass:  # which has one field more
        wanted = encode_item({"pk": "user#1", "age": 7, "tags": {"a"}}, None, None)
        assert encode_item(made, None, None) == wanted


@pytest.mark.parametrize(
    ("model", "made"),
    [
        (lambda item: Named(item["pk"], item["age"]), Named("user#1", 7)),
        (dict.keys, ITEM.keys()),
        (Pydantic.model_validate, Pydantic(pk="user#1", age=7, tags={"a", "b"})),
        (pydantic.TypeAdapter(Pydantic).validate_python, Pydantic(**ITEM)),
        (lambda item: None, None),
    ],
)
def test_any_function_of_an_item_will_do(model: Any, made: Any) -> None:
    convert = converter(model)
    assert convert is not None
    assert convert(ITEM) == made


def test_no_model_is_no_function() -> None:
    assert converter(None) is None


@pytest.mark.parametrize("model", [7, "User", {"pk": str}])
def test_what_cannot_be_called_is_no_model(model: Any) -> None:
    with pytest.raises(TypeError, match="model must be a class"):
        converter(model)


# --- classes inside classes ---


@dataclass
class Address:
    city: str
    zip: str = ""


@attrs.define
class Line:
    _sku: str
    count: int = 1


@dataclass
class Order:
    id: int
    address: Address
    other: Address | None = None
    lines: list[Line] = field(default_factory=list)
    by_name: dict[str, Address] = field(default_factory=dict)
    pair: tuple[Address, Line] | None = None
    many: tuple[Address, ...] = ()
    either: Address | Line | None = None
    plain: Any = None


def test_classes_inside_classes_are_made_too() -> None:
    city = {"city": "Rome"}
    line = {"_sku": "x"}
    convert = converter(Order)
    assert convert is not None
    order = convert(
        {
            "id": 1,
            "address": city,
            "other": {**city, "zip": "1"},
            "lines": [line, {**line, "count": 2}],
            "by_name": {"home": city},
            "pair": [city, line],
            "many": [city, city],
            "either": city,
            "plain": city,
        }
    )
    rome = Address("Rome")
    assert order == Order(
        1,
        rome,
        Address("Rome", "1"),
        [Line("x"), Line("x", 2)],
        {"home": rome},
        (rome, Line("x")),
        (rome, rome),
        # Which of two classes it should be is not for us to guess.
        city,  # type: ignore[arg-type]
        city,
    )
    assert converter(Order)({"id": 1, "address": city, "other": None}).other is None  # type: ignore[misc]


def test_a_struct_goes_by_its_names_outside() -> None:
    class Renamed(msgspec.Struct, rename="camel"):
        first_name: str
        middle: str | msgspec.UnsetType = msgspec.UNSET

    convert = converter(Renamed)
    assert convert is not None
    made = convert({"firstName": "Ada"})
    assert made == Renamed("Ada")
    assert encode_item(made, None, None)[0] == b'{"firstName":{"S":"Ada"}}'


def test_a_model_without_resolvable_hints_takes_what_was_read() -> None:
    @dataclass
    class Local:
        pk: str
        inner: "Missing"  # type: ignore[name-defined]  # noqa: F821

    convert = converter(Local)
    assert convert is not None
    assert convert({"pk": "a", "inner": {"x": 1}}).inner == {"x": 1}


# --- refusals ---


@pytest.mark.parametrize("model", CLASSES)
def test_a_refusal_says_which_and_not_what(model: Any) -> None:
    convert = converter(model)
    assert convert is not None
    with pytest.raises(Exception) as refused:  # noqa: PT011
        convert({"name": "secret"})
    error = mismatch(model, {3: refused.value}, {"Items": [{"name": "secret"}]}, table_name="users")
    assert isinstance(error, ModelMismatch)
    assert f"model {model.__qualname__} refused the item of key 3 (" in str(error)
    assert "table 'users'" in str(error)
    assert "secret" not in str(error)
    assert error.errors == {3: refused.value}
    assert error.response == {"Items": [{"name": "secret"}]}
    assert error.__cause__ is None


def test_many_refusals_are_not_all_told() -> None:
    error = mismatch(dict, dict.fromkeys(range(100), ValueError("secret")), {}, table_name="users")
    assert "and 95 more" in str(error)
    assert len(str(error)) < 500
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), list(again.errors)) == (str(error), list(error.errors))


class Plain:
    """Neither fields nor a validator: it takes the item as it is."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item


@attrs.define
class Counting:
    pk: str
    _age: int = 0
    loads: int = attrs.field(default=1, init=False)


@dataclass
class Pairs:
    pk: str
    pair: tuple[Dataclass, Dataclass]


def test_a_plain_class_is_called_with_the_item() -> None:
    made = converter(Plain)
    assert made is not None
    assert made(ITEM).item is ITEM


def test_what_is_no_argument_is_left_out() -> None:
    made = converter(Counting)
    assert made is not None
    # As it would be read after a Counting was written with all of its attributes.
    counting = made({"pk": "a", "_age": 7, "loads": 12})
    assert counting == Counting(pk="a", age=7)
    assert counting.loads == 1


def test_a_tuple_of_another_length_stays_what_was_read() -> None:
    made = converter(Pairs)
    assert made is not None
    one = {"pk": "b"}
    assert made({"pk": "a", "pair": [one, one]}).pair == (Dataclass("b"), Dataclass("b"))
    left: Any = made({"pk": "a", "pair": [one]}).pair
    assert left == [one]
