"""Secrets by their shape: keys of known makers, tokens, passwords in addresses. Pure; for words of errors alone.

What a provider writes into an error is meant for the operator: some repeat a key, or the address of a server behind
them. The exact keys of a call are taken out besides; these are everybody else's. A shape is only here where nothing
but a secret has it.
"""

import re

_SHAPES = re.compile(
    rb"""
    \b(?:
        sk-[A-Za-z0-9_-]{16,}                       # OpenAI, Anthropic, OpenRouter, DeepSeek
      | ask-[A-Za-z0-9]{8,}-[A-Za-z0-9_-]{16,}      # ours
      | (?:gsk_|hf_|csk-|r8_|pplx-|jina_|pa-|tgp_)[A-Za-z0-9_-]{20,}
      | xai-[A-Za-z0-9]{20,}
      | AIza[A-Za-z0-9_-]{30,}                      # Google
      | ya29\.[A-Za-z0-9_-]{20,}
      | (?:AKIA|ASIA|ABSK)[A-Za-z0-9]{16,}          # AWS
      | eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*   # JSON web tokens
    )
    | (?P<scheme>\b(?:Bearer|Basic|Key|Token)\ )(?=[A-Za-z0-9._~+/-]*[0-9])[A-Za-z0-9._~+/-]{16,}=*
    | (?P<address>:(?:\\?/){2})[^\s/"'@\\]+:[^\s/"'@\\]+@
    | (?P<field>[?&](?:api[_-]?key|key|token|access_token|sig|signature|x-amz-[a-z-]+)=)[^&\s"'\\]+
    """,
    re.VERBOSE | re.IGNORECASE,
)


def without_secrets(words: bytes) -> bytes:
    """Each secret as `***`; what stands before it (`Bearer `, `?key=`, `://`) stays."""
    return _SHAPES.sub(_hidden, words)


def _hidden(found: re.Match[bytes]) -> bytes:
    if found["address"] is not None:
        return found["address"] + b"***@"
    return (found["scheme"] or found["field"] or b"") + b"***"
