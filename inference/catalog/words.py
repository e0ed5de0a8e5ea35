"""The words of the catalogue: what a name, a glob, a variable or a number may look like, with the phrase a message
uses for it.
"""

import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta, UnsetType


def _wires() -> tuple[str, ...]:
    """Every wire format there is: the files of `providers`."""
    files = pkgutil.iter_modules([str(Path(__file__).parents[1] / "providers")])
    return tuple(sorted(file.name.replace("_", "-") for file in files))


if TYPE_CHECKING:
    Wire = str
else:
    Wire = Literal[_wires()]


Capability = Literal[
    "tools",
    "json_schema",
    "vision",
    "reasoning",
    "prompt_cache",
    "adaptive_thinking",
    "logprobs",
    "audio_input",
    "audio_output",
    "video_input",
    "pdf_input",
]


ProviderName = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        extra={"expected": "a provider's name: letters, digits, `.`, `_` and `-`"},
    ),
]
ModelName = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$",
        extra={"expected": "a model's name: letters, digits and `. _ : / @ + -`"},
    ),
]
UpstreamName = Annotated[
    str,
    Meta(
        pattern=r"^[^\s\x00-\x1f\x7f]{1,256}$",
        extra={"expected": "the model's name at the provider, without spaces"},
    ),
]
HeaderName = Annotated[
    str,
    Meta(pattern="^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$", extra={"expected": "an HTTP header's name"}),
]
EnvName = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z_][A-Za-z0-9_]{0,127}$",
        description="Name of an environment variable; never the secret itself.",
        extra={"expected": "the name of an environment variable, such as `OPENAI_API_KEY`", "secret": True},
    ),
]
TierName = Annotated[
    str,
    Meta(
        pattern="^[a-z0-9][a-z0-9_-]{0,63}$",
        extra={"expected": "a tier's name: small letters, digits, `_` and `-`"},
    ),
]
Glob = Annotated[
    str,
    Meta(
        pattern="^[!-~]{1,200}$",
        extra={"expected": "a model's name or a glob such as `gpt-*`, without spaces"},
    ),
]
Currency = Annotated[
    str, Meta(pattern="^[A-Z]{3}$", extra={"expected": "a currency of ISO 4217, such as `USD`"})
]
Flag = Annotated[
    str,
    Meta(pattern="^[a-z0-9][a-z0-9_.-]{0,63}$", extra={"expected": "a word: small letters, digits, `_ . -`"}),
]
FieldName = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        extra={"expected": "the name of a field of a request, such as `logit_bias`"},
    ),
]
Words = Annotated[str, Meta(max_length=2000)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
_LATER = {"later": True}
_LATER_NOTE = "No effect in this version."
LaterCount = Annotated[Count | UnsetType, Meta(description=_LATER_NOTE, extra=_LATER)]
LaterMapping = Annotated[dict[str, Any] | UnsetType, Meta(description=_LATER_NOTE, extra=_LATER)]
LaterNames = Annotated[tuple[str, ...] | UnsetType, Meta(description=_LATER_NOTE, extra=_LATER)]
