"""The compiled codec against the plain one: the same values, bytes and refusals, bit by bit."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiobatch.codec import Codec, KeySchema, Numbers, Refusal
from benchmarks.codec import SHAPES, page_of
from tests.codec import values
from tests.codec.outcomes import decoding, exactly, reading, writing
from tests.codec.subject import CODECS

PYTHON = CODECS["python"]
MODES: list[Numbers] = ["native", "decimal", "strict"]
SCHEMAS = [
    None,
    KeySchema.from_names(("pk",)),
    KeySchema.from_names(("sk", "pk")),
    KeySchema(("pk", "sk"), ordered=False),
    KeySchema(("pk", "sk"), ordered=True, types={"pk": "S", "sk": "N"}),
]


@pytest.fixture(scope="module", autouse=True)
def codec() -> None:
    """These tests take both codecs at once, so there are no turns."""
    if "native" not in CODECS:
        pytest.skip("the compiled codec is not installed (make native)")


def native() -> Codec:
    return CODECS["native"]


# --- Encoding ---


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


# Texts that JSON escapes, lone surrogates, all planes of Unicode; and long ones.
texts = (
    st.text(max_size=20)
    | st.text('"\\/\x00\x1f\x7f\b\f\n\r\t é\u2028\U0001f600\ud800\udfff', max_size=8)
    | st.builds(
        lambda text, times: text * times, st.text(min_size=1, max_size=3), st.integers(0, 900)
    )
)
numbers = (
    st.integers()
    | st.integers(-(10**41), 10**41)
    | st.floats()
    | st.decimals()
    | values.decimals()
    | st.builds(
        lambda digits, exponent: digits * 10.0**exponent, st.floats(-10, 10), st.integers(-140, 140)
    )
)
scalars = (
    st.none()
    | st.booleans()
    | texts
    | numbers
    | st.binary(max_size=20)
    | st.binary(max_size=20).map(bytearray)
)
odd = st.sampled_from(
    [Text("x"), Whole(5), memoryview(b"x"), datetime.date(2024, 1, 2), object(), range(3), 1j, Text]
)
# But signaling NaNs, which Python cannot hash.
hashable = (st.none() | st.booleans() | texts | numbers | st.binary(max_size=8)).filter(
    lambda value: not (isinstance(value, Decimal) and value.is_snan())
)
# A set has elements of one type as a rule, so that not every one is refused.
sets = st.one_of(
    *[
        st.sets(kind, max_size=5) | st.frozensets(kind, max_size=5)
        for kind in (
            texts,
            st.integers(),
            st.floats(),
            st.decimals(allow_nan=False),
            st.binary(max_size=8),
            hashable,
        )
    ]
)
names = texts | st.sampled_from(["pk", "sk", "a", ""])
anything = st.recursive(
    scalars | sets | odd,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(names | st.integers(), inner, max_size=4)
    ),
    max_leaves=10,
)
items = st.dictionaries(names, scalars | sets | anything, max_size=5)
keys = scalars | anything


def serialize(value: object) -> Any:
    if isinstance(value, datetime.date):
        return {"date": value.isoformat(), "again": {value.year}}
    raise TypeError(type(value))


@settings(deadline=None, max_examples=600)
@given(
    items,
    st.dictionaries(st.sampled_from(["pk", "sk"]), keys, max_size=2),
    st.sampled_from(SCHEMAS),
    st.sampled_from([None, serialize]),
)
@example({"n": 10**23, "f": {10**23, 1e23}}, {}, None, None)
@example({"f": {0.1, Decimal("0.1")}}, {}, None, None)
@example({}, {"pk": "x" * 1025}, SCHEMAS[1], None)
@example({}, {"pk": "x" * 2049}, SCHEMAS[1], None)
@example({"x" * 65_535: 1}, {"pk": 1}, SCHEMAS[1], None)
@example({"x" * 65_536: 1}, {"pk": 1}, SCHEMAS[1], None)
@example({"x": "x" * 409_590}, {"pk": 1}, SCHEMAS[1], None)
@example({"x": b"x" * 307_190}, {"pk": 1}, SCHEMAS[1], None)
@example({"x": b"x" * 409_600}, {"pk": 1}, SCHEMAS[1], None)
def test_encoding(item: dict[str, Any], key: dict[str, Any], schema: Any, turn: Any) -> None:
    for value in (item, key, {**item, **key}, {**key, **item}):
        assert writing(native(), value, schema, turn) == writing(PYTHON, value, schema, turn)


@settings(deadline=None, max_examples=2000)
@given(numbers)
@example(-0.0)
@example(1e16)
@example(9.99e-6)
@example(5e-324)
@example(2.0**-44)
@example(9007199254740993.0)
@example(Decimal("-0"))
@example(Decimal("0E+3"))
@example(Decimal("5.00"))
@example(Decimal("-0.50"))
@example(2**63)
@example(-(2**63))
@example(2**63 - 1)
def test_encoding_numbers(number: Any) -> None:
    assert writing(native(), {"n": number}, None, None) == writing(
        PYTHON, {"n": number}, None, None
    )


@pytest.mark.parametrize("levels", range(28, 36))
def test_encoding_nested(levels: int) -> None:
    leaves: list[Any] = [1, "x", [], {}, {1}, Text("x")]
    wraps: list[Callable[[Any], Any]] = [lambda x: [x], lambda x: (x,), lambda x: {"m": x}]
    for leaf in leaves:
        for wrap in wraps:
            value = leaf
            for _ in range(levels):
                value = wrap(value)
            assert writing(native(), {"a": value}, None, None) == writing(
                PYTHON, {"a": value}, None, None
            )


@pytest.mark.parametrize("item", [None, 5, "x", [], object(), {1: 2}, Text("x")], ids=repr)
def test_what_is_no_item(item: Any) -> None:
    for schema in SCHEMAS:
        assert writing(native(), item, schema, None) == writing(PYTHON, item, schema, None)


# --- Decoding ---

number_texts = st.from_regex(
    r"[+-]?[0-9]{0,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
) | (st.text("0123456789.-+eE_ \u0665", max_size=8))


@settings(deadline=None, max_examples=2000)
@given(number_texts, st.sampled_from(MODES))
@example("-0", "strict")
@example("-007", "native")
@example("007.5", "native")
@example(".5", "decimal")
@example("5.", "native")
@example("0.0000001", "strict")
@example("0.10000000000000001", "strict")
@example("9223372036854775808", "native")
@example("12345678901234567890.5", "strict")
def test_decoding_numbers(text: str, mode: Numbers) -> None:
    for typed in ({"N": text}, {"NS": [text, "1"]}):
        item = {"pk": typed, "a": {"L": [typed]}}
        assert decoding(native(), item, mode) == decoding(PYTHON, item, mode)
        body = orjson.dumps({"Responses": {"t": [item]}, "UnprocessedKeys": {}})
        assert reading(native(), body, ("pk",), mode) == reading(PYTHON, body, ("pk",), mode)


tags = st.sampled_from(["S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"])
plain_texts = st.text(max_size=8) | st.sampled_from(["5", "0.5", "YQ==", "YR==", "pk", "Keys"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | plain_texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(plain_texts, inner, max_size=3)
        | st.builds(lambda tag, value: {tag: value}, tags, inner)
        | st.lists(inner, max_size=3).map(lambda list: {"L": list})
        | st.dictionaries(plain_texts, inner, max_size=3).map(lambda map: {"M": map})
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=800)
@given(
    st.lists(st.dictionaries(plain_texts, json_values, max_size=4), max_size=3),
    json_values,
    st.sampled_from(MODES),
)
def test_decoding_any_json(found: list[Any], left: Any, mode: Numbers) -> None:
    for parsed in (*found, left):
        assert decoding(native(), parsed, mode) == decoding(PYTHON, parsed, mode)
    key = {"pk": {"S": "a"}}
    for answer in (
        {"Responses": {"t": [{**key, **item} for item in found]}, "UnprocessedKeys": {}},
        {"Responses": {"t": found}, "UnprocessedKeys": left},
        {"Responses": {}, "UnprocessedKeys": {"t": {"Keys": left}}},
        {
            "Responses": {"t": [key], "u": left, "v": [key]},
            "UnprocessedKeys": {"t": {"Keys": [key]}},
        },
        {"Responses": left, "UnprocessedKeys": {}, "ConsumedCapacity": [left]},
        {"Responses": {}, "UnprocessedKeys": {}, "ConsumedCapacity": left, "Other": left},
    ):
        body = orjson.dumps(answer)
        assert reading(native(), body, ("pk",), mode) == reading(PYTHON, body, ("pk",), mode)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(values.items(), max_size=4),
    st.lists(values.keys, min_size=8, max_size=8),
    st.sampled_from(MODES),
)
def test_decoding_items(sent: list[dict[str, Any]], given_keys: list[Any], mode: Numbers) -> None:
    sent = [
        {**item, "pk": pk, "sk": sk}
        for item, pk, sk in zip(sent, given_keys, given_keys[4:], strict=False)
    ]
    body = page_of(sent).replace(
        b'"UnprocessedKeys":{}',
        b'"UnprocessedKeys":{"t":{"Keys":[%b]}}'
        % b",".join(
            PYTHON.encode_key({"pk": item["pk"], "sk": item["sk"]}, None, None) for item in sent
        ),
    )
    names = ("sk", "pk")
    assert reading(native(), body, names, mode) == reading(PYTHON, body, names, mode)
    assert reading(native(), body, ("pk",), mode) == reading(PYTHON, body, ("pk",), mode)


NOTES = [
    (b'{"Responses":{"t":[{"pk":{"S":"a","S":"b"}}]},"UnprocessedKeys":{}}', "a tag twice"),
    (b'{"Responses":{"t":[{"pk":{"S":"a"},"pk":{"S":"b"}}]},"UnprocessedKeys":{}}', "a name twice"),
    (b'{"Responses":{"t":[{"pk":{"S":5},"pk":{"S":"b"}}]},"UnprocessedKeys":{}}', "odd, then fine"),
    (b'{"Responses":{"t":[],"t":[{"pk":{"S":"b"}}]},"UnprocessedKeys":{}}', "a table twice"),
    (b'{"Responses":5,"Responses":{},"UnprocessedKeys":{}}', "a field twice"),
    (b' {"Responses" : {} ,\n"UnprocessedKeys":\t{ } } \r\n', "spaces"),
    (b'{"Responses":{},"UnprocessedKeys":{}}x', "more behind"),
    (b'{"Responses":{},"UnprocessedKeys":{}}\x00', "a zero behind"),
    (b'{"Responses":{},"UnprocessedKeys":{},"x":1e400}', "a number beyond"),
    (b'{"Responses":{},"UnprocessedKeys":{},"x":-0}', "minus zero"),
    (b'{"Responses":{},"UnprocessedKeys":{},"x":01}', "a leading zero"),
    (b'{"Responses":{},"UnprocessedKeys":{},"x":123456789012345678901234567890}', "a long number"),
    (b'{"Responses":{},"UnprocessedKeys":{},"ConsumedCapacity":[{"a":0.1,"b":-0.0,"c":-0}]}', "0"),
    (
        b'{"Responses":{},"UnprocessedKeys":{},"ConsumedCapacity":[{"a":18446744073709551616}]}',
        "^64",
    ),
    (b'{"Responses":{"t":[{"pk":{"S":"\\ud83d\\ude00"}}]},"UnprocessedKeys":{}}', "a pair"),
    (b'{"Responses":{"t":[{"pk":{"S":"\\ud83d"}}]},"UnprocessedKeys":{}}', "half a pair"),
    (
        b'{"Responses":{"t":[{"pk":{"S":"\\ude00\\ud83d"}}]},"UnprocessedKeys":{}}',
        "a pair reversed",
    ),
    (b'{"Responses":{"t":[{"pk":{"S":"\xed\xa0\x80"}}]},"UnprocessedKeys":{}}', "a raw surrogate"),
    (b'{"Responses":{"t":[{"pk":{"S":"\xc0\x80"}}]},"UnprocessedKeys":{}}', "overlong"),
    (b'{"Responses":{"t":[{"pk":{"S":"\x00"}}]},"UnprocessedKeys":{}}', "a raw control"),
    (b'{"Responses":{"t":[{"pk":{"S":"\\u0000\\/\\b"}}]},"UnprocessedKeys":{}}', "escapes"),
    (b'{"Responses":{"t":[{"pk":{"S":"\\x41"}}]},"UnprocessedKeys":{}}', "no escape"),
    (b'\xef\xbb\xbf{"Responses":{},"UnprocessedKeys":{}}', "a byte order mark"),
]


@pytest.mark.parametrize("body", [body for body, _ in NOTES], ids=[name for _, name in NOTES])
@pytest.mark.parametrize("mode", MODES)
def test_answers_of_note(body: bytes, mode: Numbers) -> None:
    assert reading(native(), body, ("pk",), mode) == reading(PYTHON, body, ("pk",), mode)


@pytest.mark.parametrize("depth", [*range(28, 36), 60, 70, 130, 600, 1030, 100_000])
def test_decoding_nested(depth: int) -> None:
    for opening, closing in ((b'{"L":[', b"]}"), (b'{"M":{"m":', b"}}")):
        typed = opening * depth + b'{"S":"a"}' + closing * depth
        body = (
            b'{"Responses":{"t":[{"pk":{"S":"a"}},{"pk":{"S":"b"},"x":%b}]},"UnprocessedKeys":{}}'
        )
        assert reading(native(), body % typed, ("pk",), "native") == reading(
            PYTHON, body % typed, ("pk",), "native"
        )


def test_names_the_caller_gives() -> None:
    item = {"a": {"S": "x"}, "b": {"N": "1.0"}, "c": {"B": "YR=="}}
    body = orjson.dumps({"Responses": {"t": [item]}, "UnprocessedKeys": {}})
    sequences: list[Any] = [(), ("a",), ["b", "a"], ("c",), ("a", "b", "c"), ("no",), ("a", "no")]
    for names in sequences:
        assert reading(native(), body, names, "native") == reading(PYTHON, body, names, "native")
    for codec in (native(), PYTHON):
        with pytest.raises(ValueError, match="numbers must be"):
            list(codec.read_answer(body, ("a",), "float").items)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="numbers must be"):
            codec.decode_item({}, "float")  # type: ignore[arg-type]


# --- That it is the compiled one which does the work ---


def alone() -> Any:
    """The compiled codec with nobody to leave anything to."""
    import aiobatch_native

    def nobody(*_arguments: object) -> Any:
        raise AssertionError("left to Python")

    functions = (
        "int_text float_text decimal_text canonical_read native decimal strict encode_item "
        "encode_key encode_values decode_item not_asked resume"
    )
    return aiobatch_native.Codec(
        {"Decimal": Decimal, **dict.fromkeys(functions.split(), nobody)},
        {
            "item_bytes": 409_600,
            "name_bytes": 65_535,
            "key_bytes": 1024,
            "levels": 32,
            "digits": 38,
        },
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", MODES)
def test_common_items_never_reach_python(shape: str, mode: Numbers) -> None:
    codec, schema = alone(), SCHEMAS[2]
    common = [
        {**SHAPES[shape](n), "b": b"x", "l": {"x", "y"}, "n": {1, 2}, "d": Decimal("-0.5")}
        for n in range(20)
    ]
    for item in common:
        key = {"pk": item["pk"], "sk": item["sk"]}
        assert codec.encode_item(item, schema, None) == PYTHON.encode_item(item, schema, None)
        assert codec.encode_key(key, schema, None) == PYTHON.encode_key(key, schema, None)
        assert codec.encode_key(key, None, None) == PYTHON.encode_key(key, None, None)
        assert codec.encode_values(item, None) == PYTHON.encode_values(item, None)
        parsed = orjson.loads(PYTHON.encode_values(item, None))
        assert exactly(codec.decode_item(parsed, mode)) == exactly(PYTHON.decode_item(parsed, mode))
    body = page_of(common)
    found, left, capacity = codec.read_answer(body, ("pk", "sk"), mode)
    wanted = PYTHON.read_answer(body, ("pk", "sk"), mode)
    assert exactly(list(found)) == exactly(list(wanted.items))
    assert (left, capacity) == ([], [])
    # One of several tables, which have marks before their identities.
    marked, _, _ = codec.read_answer(body, lambda _table: (b"7:", ("sk", "pk")), mode)
    wanted = PYTHON.read_answer(body, ("pk", "sk"), mode)
    assert exactly(list(marked)) == exactly([(b"7:" + key, item) for key, item in wanted.items])


def test_what_is_no_error_of_the_codec_goes_up() -> None:
    class Interrupt(BaseException):
        pass

    def interrupting(_value: object) -> Any:
        raise Interrupt

    for codec in CODECS.values():
        with pytest.raises(Interrupt):
            codec.encode_item({"a": object()}, None, interrupting)
        with pytest.raises(Refusal):
            codec.encode_item({"a": object()}, None, None)
