"""Tracebacks in what an upstream says of an error: cut off, with what stands before them kept. Pure.

They tell the operator's files and lines to whoever asks. Python's alone are known, by the sentence they begin with.
(https://docs.python.org/3/library/traceback.html)
"""

import re

_MARK = b"Traceback (most recent call last)"
_TRACEBACK = re.compile(
    rb"""
    (?:Exception\ Group\ )? Traceback\ \(most\ recent\ call\ last\)
    (?: (?:[^"\\] | \\.)*+ (?= " \s* (?: [,}\]] | \Z))   # within a JSON string, to its end
      | .*                                               # in plain words, all that is left
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_FAILED = b"The upstream failed in its own code."
_BLANK = b" \t\r\n:+|"
_ESCAPED = (rb"\n", rb"\r", rb"\t")


def without_traceback(words: bytes) -> bytes:
    """Plain words or JSON without tracebacks; where nothing stands before one, that the upstream failed."""
    if _MARK not in words:
        return words
    kept: list[bytes] = []
    at = 0
    for found in _TRACEBACK.finditer(words):
        before = _trimmed(words[at : found.start()])
        at = found.end()
        kept.append(before)
        opened = before.endswith(b'"') and not before.endswith(b'\\"') and words[at : at + 1] == b'"'
        if not before or opened:
            kept.append(_FAILED)
    return b"".join(kept) + words[at:]


def _trimmed(before: bytes) -> bytes:
    """Without blanks at its end, those that JSON escapes too."""
    while True:
        cut = before.rstrip(_BLANK)
        if cut.endswith(_ESCAPED):
            cut = cut[:-2]
        if cut == before:
            return cut
        before = cut
