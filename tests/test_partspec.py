"""Strategies and scorers as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import UsageError
from adhere.partspec import Call, construct, parse


def plain(value, annotation, call, at):
    return value.name if isinstance(value, Call) else value


def test_a_word_alone_is_a_call_without_arguments():
    call = parse("decrim")
    assert (call.name, call.args, call.kwargs, call.bare) == ("decrim", (), {}, True)


def test_values_of_every_kind_are_read():
    call = parse("""x(1, -2.5, 1e3, true, None, word, 'it\\'s', "a,b)", [1, [two]], n=8, at=openai:m@http://h:1/v1)""")
    values = [v.name if isinstance(v, Call) else v for v in call.args]
    assert values[:8] == [1, -2.5, 1000.0, True, None, "word", "it's", "a,b)"]
    assert values[8][0] == 1 and values[8][1][0].name == "two"
    assert call.kwargs["n"] == 8
    assert call.kwargs["at"].name == "openai:m@http://h:1/v1"


def test_calls_nest():
    call = parse("decrim(best_of_n(n=4), critic=judge(model='x'))")
    assert call.args[0].name == "best_of_n"
    assert call.args[0].kwargs == {"n": 4}
    assert call.kwargs["critic"].kwargs == {"model": "x"}


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("", 1, "a name was expected"),
        ("(x)", 1, "a name was expected"),
        ("x(", 3, "a value was expected"),
        ("x(n=)", 5, "a value was expected"),
        ("x(n=1", 6, "',' or '\\)' was expected"),
        ("x(n=1 m=2)", 7, "',' or '\\)' was expected"),
        ("x) y", 2, "the text should end here"),
        ("x y", 3, "the text should end here"),
        ("x(n=1, n=2)", 8, "'n' is given twice"),
        ("x(n=1, 2)", 8, "comes after one with a name"),
        ("x('open)", 3, "a quote is not closed"),
        ("x([1, 2)", 8, "',' or '\\]' was expected"),
    ],
)
def test_an_error_names_the_position(text, position, said):
    with pytest.raises(UsageError, match=f"position {position}: .*{said}"):
        parse(text)


def test_brackets_without_end_are_refused_in_bounded_time():
    with pytest.raises(UsageError, match="more than 16 brackets"):
        parse("x(" * 1000)
    with pytest.raises(UsageError, match="too long"):
        parse("x" * 5000)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        assert isinstance(parse(text), Call)
    except UsageError as error:
        assert "position" in error.message


names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda n: n not in ("true", "false", "none"))
values = st.recursive(
    st.integers() | st.booleans() | st.none() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=3)
)


def written(value):
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return str(value)


@given(names, st.lists(values, max_size=3), st.dictionaries(names, values, max_size=3))
def test_what_is_written_is_read_back(name, args, kwargs):
    text = ", ".join([*map(written, args), *(f"{k} = {written(v)}" for k, v in kwargs.items())])
    call = parse(f"{name}( {text} )")
    assert (call.name, list(call.args), call.kwargs) == (name, args, kwargs)


def make(n: int = 1, name: str = "x", ratio: float | None = None):
    if n < 1:
        raise ValueError("n must be at least 1")
    return n, name, ratio


def test_arguments_reach_the_constructor():
    assert construct(parse("make(4, ratio=0.5, name=word)"), make, plain) == (4, "word", 0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("make(m=1)", "position 6: unknown argument 'm'"),
        ("make(rato=1)", "Did you mean 'ratio'"),
        ("make(n=x)", "position 6: n='x' is not int"),
        ("make(n=true)", "n=True is not int"),
        ("make(n=1.5)", "n=1.5 is not int"),
        ("make(1, 'a', 2, 3)", "4 arguments without a name"),
        ("make(1, n=2)", "'n' is given twice"),
        ("make(0)", "make cannot be made: n must be at least 1"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(text, said):
    with pytest.raises(UsageError) as caught:
        construct(parse(text), make, plain)
    assert said in str(caught.value)


def test_a_missing_argument_is_named():
    with pytest.raises(UsageError, match=r"open needs path.*Write open\(path=…\)"):
        construct(parse("open"), lambda path: path, plain)
