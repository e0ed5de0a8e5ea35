r"""The words by which a conversation shows something: whether it may, told from its bytes. Pure.

Looked for as they stand, in the fields' names and types. JSON lets any letter be escaped (`image\u005furl`), so what
escapes plain letters, which nobody does without a reason, is taken to show something too.
"""

import re

_OPENAI = re.compile(rb'_(?:url|data|audio|image|video|file|screenshot)"').search
"""Begins with the one byte that all of these have and most text has not: it is found as fast as memory is read."""
_ESCAPED = re.compile(rb"\\u00[4-7]").search


def shows(said: bytes) -> bool:
    """Whether pictures, sound or files may be shown, in the words of OpenAI's dialects."""
    if _OPENAI(said) is not None:
        return True
    # One byte is found as fast as memory is read, several are not.
    return said.find(b"\\") >= 0 and b"\\u00" in said and _ESCAPED(said) is not None


def shows_by(word: bytes, said: bytes) -> bool:
    """The same where everything that is shown stands beside one word."""
    return word in said or (b"\\u00" in said and _ESCAPED(said) is not None)
