"""Whatever an official SDK's types allow, as JSON: strategies made of the types themselves."""

import datetime
import enum
import inspect
import types
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import pydantic
from google.genai.types import Part
from hypothesis import strategies as st

_WORDS = st.sampled_from(("", "a", "words", 'say "x"\n', "İzmir 🤖", "\\u0000", "  "))
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: _WORDS,
    bool: st.booleans(),
    int: st.integers(0, 9),
    float: st.sampled_from((0.0, -0.5, 3.0)),
    bytes: st.sampled_from(("", "aGVsbG8=")),
    type(None): st.none(),
    datetime.datetime: st.just("2026-01-02T03:04:05Z"),
}
_NAMED: dict[str, st.SearchStrategy[Any]] = {
    "arguments": st.sampled_from(("", "{}", '{"city": "İzmir"}')),
    "input": st.sampled_from(("{}", '{"a": [1]}')),
    "name": st.sampled_from(("weather", "f_1")),
}
"""Texts that are not just any: objects, and what there is no call without."""
_ANYTHING = st.sampled_from(({}, {"a": None}, {"a": [1, "b"]}))


def answers(kind: Any, **fixed: Any) -> st.SearchStrategy[Any]:
    """JSON of a type; the outermost object's fields as `fixed` says, where it does."""
    return _of(kind).map(lambda made: {**made, **fixed} if fixed else made)


@cache
def _of(kind: Any) -> st.SearchStrategy[Any]:
    origin = get_origin(kind)
    if origin is Annotated:
        return _of(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return st.one_of([_of(each) for each in get_args(kind)])
    if origin is Literal:
        return st.sampled_from(get_args(kind))
    if isinstance(kind, TypeVar):
        return _of(kind.__bound__ or object)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if inspect.isclass(kind) and issubclass(kind, pydantic.BaseModel):
        return st.deferred(lambda: _model(kind))
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return st.sampled_from([each.value for each in kind])
    return _collection(origin, get_args(kind))


def _collection(origin: Any, inside: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return st.dictionaries(st.sampled_from(("k", "other")), _of(inside[1]), max_size=2)
    if inspect.isclass(origin) and issubclass(origin, Iterable):
        return st.lists(_of(inside[0]), max_size=3)
    return _ANYTHING


def _named(name: str, kind: Any) -> st.SearchStrategy[Any]:
    return _NAMED[name] if name in _NAMED and str in (kind, *get_args(kind)) else _of(kind)


@cache
def _model(kind: type[pydantic.BaseModel]) -> st.SearchStrategy[Any]:
    """An object with the fields it needs, and any of those it may have; a part of Gemini's is of one kind."""
    needed: dict[str, st.SearchStrategy[Any]] = {}
    possible: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in kind.model_fields.items():
        if name != "sdk_http_response":
            chosen = needed if field.is_required() else possible
            chosen[field.alias or name] = _named(name, field.annotation)
    if kind is Part:
        return st.one_of([st.fixed_dictionaries({name: inner}) for name, inner in possible.items()])
    return st.fixed_dictionaries(needed, optional=possible)
