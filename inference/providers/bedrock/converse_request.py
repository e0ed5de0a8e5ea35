"""A conversation written down for Converse. Pure.

(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_RequestSyntax)
"""

import re

import msgspec
from msgspec import Raw

from inference.codecs.untold import Untold
from inference.ir.cards import Model, PromptCache
from inference.ir.chat import ChatRequest, Structured, structured
from inference.ir.content import Family
from inference.ir.errors import InvalidField
from inference.providers.anthropic.thinking import abilities
from inference.providers.bedrock.model_fields import ModelFields, model_fields
from inference.providers.bedrock.naming import Maker, place
from inference.providers.bedrock.tools import ToolConfig, output_config, tool_config
from inference.providers.bedrock.writing import Block, ConversationWriter
from inference.wire import Outgoing

EVENT_STREAM = b"application/vnd.amazon.eventstream"
_OWN_WORDS = frozenset(
    {
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "performanceConfig",
        "promptVariables",
    }
)
"""Fields of Bedrock's alone: a client that sends them in another dialect can mean nothing else."""
_MORE = "additionalModelRequestFields"
_CACHING = (Maker.CLAUDE, Maker.NOVA, Maker.NOVA_2)
_POINT: Block = {"cachePoint": {"type": "default"}}
_TIERS = {"default": "default", "standard_only": "default", "flex": "flex", "priority": "priority"}
_LABEL = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_MOST_LABELS = 16
_UNTOLD = Untold(
    {
        "frequency_penalty": "frequency_penalty",
        "presence_penalty": "presence_penalty",
        "seed": "seed",
        "logprobs": "logprobs",
        "top_logprobs": "top_logprobs",
        "logit_bias": "logit_bias",
        "verbosity": "verbosity",
        "cache_key": "prompt_cache_key",
        "user": "user",
    }
)
"""What Converse has no word for, as the client wrote it."""
_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, Raw])


def write_request(asked: ChatRequest, *, model: str, made_by: Maker, card: Model) -> Outgoing:
    """Raises InvalidField for a conversation without a turn to answer, and for what Bedrock cannot be shown."""
    capabilities = card.capabilities or frozenset()
    native = "json_schema" in capabilities
    writer = ConversationWriter(asked, made_by, caches=made_by in _CACHING or "prompt_cache" in capabilities)
    if not writer.messages:
        raise InvalidField(
            "The conversation has no turn that Bedrock's format can carry: send at least one message of the user.",
            param="messages",
        )
    more = model_fields(asked, made_by, capabilities=abilities(card, model), most=card.max_output)
    writer.dropped += more.dropped
    tools = tool_config(asked, writer, made_by, native=native, free=more.thinks)
    if card.prompt_cache is PromptCache.AUTO and not writer.marked:
        _mark(writer, tools if made_by is not Maker.NOVA else None)
    form = output_config(asked.format, native=native)
    body: dict[str, object] = {
        "messages": writer.messages,
        "system": writer.system,
        "inferenceConfig": _inference(asked, more, made_by, writer.dropped),
        "toolConfig": tools,
        "outputConfig": form,
        _MORE: more.fields,
        "serviceTier": _tier(asked, writer.dropped),
        "requestMetadata": _labels(asked, writer.dropped),
    }
    body = {name: value for name, value in body.items() if value}
    _unsaid(asked, writer.dropped)
    _rest(body, asked, writer.dropped)
    return Outgoing(
        path=place(model, "converse-stream" if asked.stream else "converse"),
        body=_encode(body),
        dropped=tuple(writer.dropped),
        structured=structured(asked.format, Structured.TOOL if form is None else Structured.NATIVE),
        stream_types=(EVENT_STREAM,),
    )


def _inference(
    asked: ChatRequest, more: ModelFields, made_by: Maker, dropped: list[str]
) -> dict[str, object]:
    """Length and sampling; a client of another family is fitted into Converse's bounds and told."""
    written: dict[str, object] = {}
    limit = asked.max_output or more.max_tokens
    if limit is not None:
        written["maxTokens"] = limit
    own = asked.family in (Family.ANTHROPIC, Family.BEDROCK)
    for name, word, value in (
        ("temperature", "temperature", asked.temperature),
        ("top_p", "topP", asked.top_p),
    ):
        if value is None:
            continue
        if more.thinks and not own:
            dropped.append(name)  # thinking has a sampling of its own
            continue
        if value > 1:
            dropped.append(name)
        written[word] = min(value, 1.0)
    blank = made_by is not Maker.CLAUDE  # which takes no sequence of white space
    stop = [each for each in asked.stop if each and (blank or not each.isspace())]
    if len(stop) < len(asked.stop):
        dropped.append("stop")
    if stop:
        written["stopSequences"] = stop
    return written


def _tier(asked: ChatRequest, dropped: list[str]) -> dict[str, str] | None:
    if asked.service_tier is None or asked.service_tier == "auto":
        return None
    tier = _TIERS.get(asked.service_tier)
    if tier is None:
        dropped.append("service_tier")
        return None
    return {"type": tier}


def _labels(asked: ChatRequest, dropped: list[str]) -> dict[str, str] | None:
    """The client's labels, by which calls are found again in Bedrock's logs; all of them or none."""
    labels = asked.metadata
    if not labels:
        return None
    fits = len(labels) <= _MOST_LABELS
    if fits and all(_LABEL.fullmatch(each) for pair in labels.items() for each in pair):
        return labels
    dropped.append("metadata")
    return None


def _unsaid(asked: ChatRequest, dropped: list[str]) -> None:
    dropped += _UNTOLD.names(asked)
    if (asked.answers or 1) > 1:
        dropped.append("n")
    if any(kind != "text" for kind in asked.modalities):
        dropped.append("modalities")


def _rest(body: dict[str, object], asked: ChatRequest, dropped: list[str]) -> None:
    for name, value in asked.rest.items():
        if name == _MORE and bytes(value).startswith(b"{"):
            ours = body.get(_MORE)
            known: dict[str, object] = {**ours} if isinstance(ours, dict) else {}
            body[_MORE] = {**_fields.decode(value), **known}
        elif name in _OWN_WORDS:
            body[name] = value
        else:
            dropped.append(name)


def _mark(writer: ConversationWriter, tools: ToolConfig | None) -> None:
    """Marks up to which Bedrock caches: behind the tools, the system prompt and the user's last two turns."""
    if tools is not None:
        tools.tools.append(_POINT)
    if writer.system:
        writer.system.append(_POINT)
    turns = [turn for turn in writer.messages if turn.role == "user"]
    for turn in turns[-2:]:
        turn.content.append(_POINT)
