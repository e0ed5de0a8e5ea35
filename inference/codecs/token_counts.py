"""Token counts: which reports of usage are believed. Pure."""

from inference.ir.usage import NO_USAGE, Usage, UsageSource

MOST_TOKENS = 100_000_000
"""No call has more. A report beyond it, or below zero, is not believed: the call is counted instead."""


def believed(*counts: int) -> bool:
    """Whether all of them are counts that a call can have."""
    return min(counts) >= 0 and max(counts) <= MOST_TOKENS


def input_only(tokens: int | None) -> Usage:
    """The usage of a call that writes no tokens; NO_USAGE where none were told, or none that can be."""
    if tokens is None or not believed(tokens):
        return NO_USAGE
    return Usage(input_tokens=tokens, source=UsageSource.REPORTED)
