import contextlib
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aiobatch.codec import Projection, compile_projection


def compiled(
    expression: str, names: dict[str, str] | None = None, keys: tuple[str, ...] = ()
) -> Projection:
    projection = compile_projection(expression, names, keys)
    assert projection is not None
    return projection


def expanded(projection: Projection) -> list[list[str | int]]:
    """The paths of what is sent, with every placeholder replaced: only placeholders may stand."""
    paths: list[list[str | int]] = []
    for path in projection.expression.split(","):
        paths.append([])
        for element in re.findall(r"#\w+|\[\d+\]", path):
            paths[-1].append(projection.names[element] if element[0] == "#" else int(element[1:-1]))
        assert re.fullmatch(r"#\w+(\.#\w+|\[\d+\])*", path, re.ASCII)
    return paths


plain_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)
any_names = st.text(min_size=1, max_size=6)
spaces = st.sampled_from(["", " ", "  ", "\n\t"])
steps = plain_names | st.integers(0, 10**6) | st.tuples(any_names)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_what_is_sent_expands_to_the_callers_paths(data: st.DataObject) -> None:
    wanted: list[list[str | int]] = []
    written: list[str] = []
    names: dict[str, str] = {}
    keys = data.draw(st.lists(any_names, min_size=1, max_size=2, unique=True))
    for _ in range(data.draw(st.integers(1, 3))):
        path: list[str | int] = []
        text = ""
        for step in data.draw(st.lists(steps, min_size=1, max_size=4)):
            space = data.draw(spaces)
            if isinstance(step, int):
                if not path:
                    continue
                path.append(step)
                text += f"{space}[{space}{step}{space}]"
                continue
            dot = f"{space}.{space}" if path else space
            if isinstance(step, tuple):
                # The caller's own placeholders, among them ones that look like ours.
                placeholder = data.draw(st.sampled_from(["#n0", "#n1", "#x", "#n"]))
                path.append(names.setdefault(placeholder, step[0]))
                text += dot + placeholder
            else:
                path.append(step)
                text += dot + step
        if path:
            wanted.append(path)
            written.append(text + data.draw(spaces))
    assume(wanted)
    roots = {path[0] for path in wanted}
    assume(not any(path[0] in keys and len(path) > 1 for path in wanted))
    projection = compiled(",".join(written), names, tuple(keys))
    added = [key for key in keys if key not in roots]
    assert projection.added == tuple(added)
    assert expanded(projection) == wanted + [[key] for key in added]
    # The caller's placeholders mean what they meant, and DynamoDB refuses what is not used.
    assert names.items() <= projection.names.items()
    assert set(re.findall(r"#\w+", projection.expression)) == set(projection.names)


def test_reserved_words_just_work() -> None:
    assert compiled("status, size,name") == Projection(
        "#n0,#n1,#n2", {"#n0": "status", "#n1": "size", "#n2": "name"}, ()
    )


def test_a_name_has_one_alias() -> None:
    assert compiled("a.b, b.a[0]") == Projection("#n0.#n1,#n1.#n0[0]", {"#n0": "a", "#n1": "b"}, ())


def test_names_that_an_alias_can_take() -> None:
    assert expanded(compiled("user-id, 2fa, größe")) == [["user-id"], ["2fa"], ["größe"]]


def test_keys() -> None:
    assert compiled("pk, a", None, ("pk", "sk")) == Projection(
        "#n0,#n1,#n2", {"#n0": "pk", "#n1": "a", "#n2": "sk"}, ("sk",)
    )
    assert compiled("#k", {"#k": "pk"}, ("pk",)) == Projection("#k", {"#k": "pk"}, ())
    # A key's name further down is another attribute.
    assert compiled("a.pk", None, ("pk",)).added == ("pk",)


def test_none() -> None:
    assert compile_projection(None, None, ("pk",)) is None
    assert compile_projection(None, {}, ("pk",)) is None


def test_names_that_other_expressions_use() -> None:
    names = {"#x": "other", "#n0": "mine"}
    projection = compile_projection("a", names, (), names_elsewhere=True)
    assert projection == Projection("#n1", {**names, "#n1": "a"}, ())
    assert compile_projection(None, names, (), names_elsewhere=True) is None


END = "an attribute's name is missing at the end"
BEFORE = "an attribute's name is missing before this"
COMMA = "a comma or a dot is missing before this"
NO_PART = "this is no part of a path"


@pytest.mark.parametrize(
    ("expression", "at", "what"),
    [
        ("", 0, END),
        ("  ", 0, END),
        ("a,", 2, END),
        (",a", 0, BEFORE),
        ("a,,b", 2, BEFORE),
        ("a, ,b", 3, BEFORE),
        ("a.", 2, END),
        ("a. ", 2, END),
        (".a", 0, BEFORE),
        (" .a", 1, BEFORE),
        ("a..b", 2, BEFORE),
        ("a.[0]", 2, BEFORE),
        ("[0]", 0, BEFORE),
        ("a[0]b", 4, COMMA),
        ("a b", 2, COMMA),
        ("a[]", 1, NO_PART),
        ("a[-1]", 1, NO_PART),
        ("a[x]", 1, NO_PART),
        ("a[\u0665]", 1, NO_PART),
        ("a[0", 1, NO_PART),
        ("a, b]", 4, NO_PART),
        ("a =  :b", 2, NO_PART),
        ("size(a)", 4, NO_PART),
        ("#", 0, NO_PART),
        ("a, # b", 3, NO_PART),
    ],
)
def test_what_is_malformed_and_where(expression: str, at: int, what: str) -> None:
    with pytest.raises(ValueError, match="at character") as caught:
        compile_projection(expression, None, ("pk",))
    assert (
        str(caught.value) == f"projection_expression: at character {at} of {expression!r}: {what}"
    )


UNDEFINED = "projection_expression: #x is not defined in expression_attribute_names"
NO_PLACEHOLDER = "is no placeholder: # and then letters, digits or underscores"
BELOW = "projection_expression: 'pk' is a key attribute, which has nothing below it: name it alone"
UNUSED = "not used in projection_expression, which DynamoDB refuses"


@pytest.mark.parametrize(
    ("expression", "names", "text"),
    [
        ("#x", None, UNDEFINED),
        ("a.#x", {}, UNDEFINED),
        ("a", {"#x": "b"}, f"expression_attribute_names: #x {UNUSED}"),
        ("#x", {"#x": "b", "#y": "c", "#z": "d"}, f"expression_attribute_names: #y, #z {UNUSED}"),
        (
            None,
            {"#x": "b"},
            "expression_attribute_names without projection_expression: nothing uses them",
        ),
        ("x", {"x": "b"}, f"expression_attribute_names: 'x' {NO_PLACEHOLDER}"),
        ("#a-b", {"#a-b": "b"}, f"expression_attribute_names: '#a-b' {NO_PLACEHOLDER}"),
        ("#x", {"#x": ""}, "expression_attribute_names: #x stands for an empty name"),
        ("pk.a", None, BELOW),
        ("#k[0]", {"#k": "pk"}, BELOW),
    ],
)
def test_mistakes(expression: Any, names: Any, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        compile_projection(expression, names, ("pk",))
    assert str(caught.value) == text


def test_wrong_types() -> None:
    strings = "expression_attribute_names must map placeholders to names, as strings"
    for expression, names, text in [
        (["a"], None, "projection_expression must be a string, not list"),
        ("a", ["#x"], "expression_attribute_names must be a mapping, not list"),
        ("#x", {"#x": 5}, strings),
        ("#x", {5: "x"}, strings),
    ]:
        with pytest.raises(TypeError, match=f"^{text}$"):
            compile_projection(expression, names, ())  # type: ignore[arg-type]


@settings(deadline=None, max_examples=300)
@given(st.text("ab#.,[]01 -\n\u00e9:", max_size=12))
def test_any_text_is_a_projection_or_says_where(expression: str) -> None:
    with contextlib.suppress(ValueError):
        assert expanded(compiled(expression))
