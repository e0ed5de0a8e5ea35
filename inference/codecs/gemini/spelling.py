"""Spelling: Google's JSON takes every field in camelCase and in snake_case; here all become camelCase. Pure.

What is not Google's own stays as it is: arguments, answers of functions, schemas, labels.
(https://protobuf.dev/programming-guides/json/#field-representation)
"""

import re

import msgspec
from msgspec import Raw

_FIELDS = [
    "systemInstruction",
    "generationConfig",
    "toolConfig",
    "safetySettings",
    "cachedContent",
    "inlineData",
    "fileData",
    "mimeType",
    "fileUri",
    "displayName",
    "functionCall",
    "functionResponse",
    "thoughtSignature",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "toolType",
    "videoMetadata",
    "startOffset",
    "endOffset",
    "mediaResolution",
    "partMetadata",
    "willContinue",
    "partialArgs",
    "functionDeclarations",
    "parametersJsonSchema",
    "responseJsonSchema",
    "responseSchema",
    "googleSearch",
    "googleSearchRetrieval",
    "dynamicRetrievalConfig",
    "codeExecution",
    "urlContext",
    "fileSearch",
    "fileSearchStoreNames",
    "googleMaps",
    "computerUse",
    "enterpriseWebSearch",
    "functionCallingConfig",
    "allowedFunctionNames",
    "retrievalConfig",
    "includeServerSideToolInvocations",
    "topP",
    "topK",
    "maxOutputTokens",
    "stopSequences",
    "presencePenalty",
    "frequencyPenalty",
    "candidateCount",
    "responseMimeType",
    "responseLogprobs",
    "thinkingConfig",
    "includeThoughts",
    "thinkingBudget",
    "thinkingLevel",
    "responseModalities",
    "speechConfig",
    "imageConfig",
    "aspectRatio",
    "imageSize",
    "audioTimestamp",
    "enableEnhancedCivicAnswers",
    "serviceTier",
    "modelArmorConfig",
    "promptTemplateName",
    "responseTemplateName",
    "routingConfig",
    "modelSelectionConfig",
    "taskType",
    "outputDimensionality",
    "autoTruncate",
    "generateContentRequest",
]
_OPAQUE = frozenset(
    (
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseSchema",
        "responseJsonSchema",
        "labels",
        "metadata",
        "aspendos",
    )
)
_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
_SNAKE = {_HUMP.sub(lambda hump: "_" + hump[1].lower(), name): name for name in _FIELDS}
_MARK = re.compile(('"(?:' + "|".join(name for name in _SNAKE if "_" in name) + r')"\s*:').encode())
_object = msgspec.json.Decoder(dict[str, Raw])
_array = msgspec.json.Decoder(list[Raw])
_encode = msgspec.json.Encoder().encode


def camel(body: bytes) -> bytes:
    """The same JSON in camelCase; the very bytes where nothing has to change.

    Raises msgspec.DecodeError for what is no JSON, RecursionError for what is nested without end.
    """
    if b"_" not in body or _MARK.search(body) is None:
        return body
    return bytes(_walked(Raw(body)))


def _walked(value: Raw) -> Raw:
    first = bytes(memoryview(value)[:64]).lstrip()[:1]
    if first == b"{":
        fields: dict[str, Raw] = {}
        for key, inner in _object.decode(value).items():
            name = _SNAKE.get(key, key)
            fields[name] = inner if name in _OPAQUE else _walked(inner)
        return Raw(_encode(fields))
    if first == b"[":
        return Raw(_encode([_walked(inner) for inner in _array.decode(value)]))
    return value
