"""Stripe's form encoding: `a[b][0][c]=v` to nested dictionaries and lists. Refuses what does not nest."""

from typing import Any, cast
from urllib.parse import parse_qsl

Tree = dict[str, Any]


class Garbled(ValueError):
    """The keys contradict each other, or a list's indices have gaps."""


def decode(text: str) -> Tree:
    """The tree a query or body spells. Every leaf is text, as it is on the wire."""
    root: Tree = {}
    for key, value in parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)):
        name, bracket, rest = key.partition("[")
        steps = [name, *(rest[:-1].split("][") if bracket else [])]
        if bracket and not key.endswith("]"):
            raise Garbled(f"Invalid key: {key}")
        at = root
        for step in steps[:-1]:
            inner: Any = at.setdefault(step, {})
            if not isinstance(inner, dict):
                raise Garbled(f"Invalid key: {key}")
            at = cast(Tree, inner)
        if steps[-1] in at:
            raise Garbled(f"Repeated key: {key}")
        at[steps[-1]] = value
    return {name: _lists(value) for name, value in root.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    tree: Tree = {str(name): _lists(part) for name, part in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # narrowed from Any
    if tree and all(name.isdigit() for name in tree):
        if sorted(map(int, tree)) != list(range(len(tree))):
            raise Garbled("A list's indices must count from 0 without gaps.")
        return [tree[str(index)] for index in range(len(tree))]
    return tree
