"""A stream for Gemini's clients, whoever answers. Pure.

Every event is an answer with a piece of the parts; calls go out whole, once their arguments are; the last event
holds the finish reasons and the usage, and is kept for `finish`. No comments: Google's SDK takes every line of a
stream that is no data for a piece of JSON. (https://ai.google.dev/api/generate-content)
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.dialect import Request, Setting
from gateway.dialects.gemini.answer import closing, malformed_call, moved, write_answer_part
from gateway.dialects.gemini.errors import error_body, event
from inference.codecs.gemini.grounding import write_grounding
from inference.codecs.gemini.usage import write_usage
from inference.codecs.gemini.writing import NotAnObject, sealed_signature
from inference.codecs.sse import event_json
from inference.ir.completion import Choice, Finish
from inference.ir.content import Audio, Citation, Family, Part, Rest, Source, ToolCall
from inference.ir.errors import AspendosError
from inference.ir.events import (
    AudioDelta,
    Began,
    CallBegan,
    CallDelta,
    Cited,
    Counted,
    Ended,
    Event,
    Extra,
    Failed,
    LogProbs,
    ReasoningDelta,
    RefusalDelta,
    Sealed,
    TextDelta,
    Whole,
)
from inference.ir.usage import NO_USAGE, Usage, UsageSource
from inference.wire import Tap

_encode = msgspec.json.Encoder().encode
_HEAD = b'{"candidates":[{"content":{"parts":['
_SILENT = {"parts": [{"text": ""}], "role": "model"}
_LENGTH = Choice(finish=Finish.LENGTH)


class _Call(Struct):
    began: CallBegan
    arguments: list[str] = []
    signature: str | None = None
    issuer: Family | None = None


class _Choice(Struct):
    """What of one candidate is said only at the end, or once it is whole."""

    calls: dict[int, _Call] = {}
    thoughts: dict[int, int | None] = {}
    """Of each block that is a thought, the part of a summary that was told last."""
    text: dict[int, list[str]] = {}
    citations: list[tuple[int, Citation]] = []
    logprobs: list[Raw] = []
    rest: Rest = {}
    ended: Ended | None = None
    malformed: str | None = None
    spoke: bool = False


class GeminiWriter:
    """See the module."""

    end = b""

    def __init__(self, setting: Setting) -> None:
        self._model, self._id = setting.model, setting.id
        self._choices: dict[int, _Choice] = {}
        self._usage = NO_USAGE
        self._rest: Rest = {}
        self._own = False
        self._failed = False
        self._tail = self._tail_of()
        self._names: list[str] = []
        self.dropped: Sequence[str] = self._names

    def write(self, events: Sequence[Event]) -> bytes:
        """One event of the stream for each candidate that said something."""
        said: dict[int, list[bytes]] = {}
        for each in events:
            if isinstance(each, TextDelta | RefusalDelta):
                if each.text:
                    said.setdefault(each.choice, []).append(b'{"text":' + _encode(each.text) + b"}")
                    self._choice(each.choice).text.setdefault(each.block, []).append(each.text)
            elif isinstance(each, CallDelta):
                self._choice(each.choice).calls[each.block].arguments.append(each.arguments)
            elif isinstance(each, ReasoningDelta):
                thoughts = self._choice(each.choice).thoughts
                before = thoughts.get(each.block)
                thoughts[each.block] = each.summary
                if each.text:
                    # Parts of a summary are told apart, as they are in an answer that comes whole.
                    apart = before is not None and each.summary is not None and before != each.summary
                    text = "\n\n" + each.text if apart else each.text
                    part = b'{"text":' + _encode(text) + b',"thought":true}'
                    said.setdefault(each.choice, []).append(part)
            elif isinstance(each, Failed):
                self._failed = True
                return self._events(said) + self.broken(each.error)
            else:
                self._note(each, said)
        return self._events(said) if said else b""

    def finish(self) -> bytes:
        """The last event: reasons, usage, and all that is said of the answer as a whole."""
        if self._failed:
            return b""
        return event(self._last())

    def broken(self, error: AspendosError) -> bytes:
        """The error as an event, which Google's SDKs raise."""
        return event(error_body(error, self._id))

    def cut(self, usage: Usage) -> bytes:
        """The end of an answer the gateway stops, as if the model's maximum had been reached."""
        return event(closing_event(usage, self._model, self._id))

    # what is not text

    def _note(self, each: Event, said: dict[int, list[bytes]]) -> None:
        match each:
            case Began():
                self._own = each.family is Family.GEMINI
                self._model, self._id = each.model or self._model, each.id or self._id
                self._tail = self._tail_of()
            case Counted(usage):
                self._usage = usage
            case CallBegan():
                self._choice(each.choice).calls[each.block] = _Call(each)
                for name in each.rest:
                    self._drop(f"candidates[{each.choice}].content.parts[{each.block}].{name}")
            case Sealed():
                self._sealed(each, said)
            case Whole(part):
                self._part(part, each.choice, each.block, said)
            case AudioDelta():
                self._heard(each, said)
            case Cited(citation):
                if citation.url is None and not self._own:
                    self._drop(f"candidates[{each.choice}].content.parts[{each.block}].citations")
                self._choice(each.choice).citations.append((each.block, citation))
            case LogProbs(raw):
                self._choice(each.choice).logprobs.append(raw)
            case Ended():
                self._ended(each, said)
            case Extra():
                self._extra(each)
            case _:
                pass

    def _sealed(self, each: Sealed, said: dict[int, list[bytes]]) -> None:
        choice = self._choice(each.choice)
        if each.block in choice.calls:
            call = choice.calls[each.block]
            call.signature, call.issuer = each.signature, each.issuer
            return
        own = each.issuer is Family.GEMINI
        signature = each.signature if own else sealed_signature(each)
        if signature is None:
            return
        part: dict[str, object] = {"text": "", "thoughtSignature": signature}
        # Of Gemini's own a text is signed, too; whatever else others seal without a word is a thought not shown.
        if each.block in choice.thoughts or not (own or each.block in choice.text):
            part["thought"] = True
        said.setdefault(each.choice, []).append(_encode(part))

    def _heard(self, each: AudioDelta, said: dict[int, list[bytes]]) -> None:
        if each.transcript:
            self._drop(f"candidates[{each.choice}].content.parts[{each.block}].transcript")
        if each.data:
            source = Source(data=each.data, media_type=each.media_type or "audio/pcm;rate=24000")
            self._part(Audio(source=source), each.choice, each.block, said)

    def _part(self, part: Part, choice: int, block: int, said: dict[int, list[bytes]]) -> None:
        where = f"candidates[{choice}].content.parts[{block}]"

        def drop(name: str) -> None:
            self._drop(f"{where}.{name}" if name else where)

        try:
            written = write_answer_part(part, drop, own=self._own)
        except NotAnObject:
            assert isinstance(part, ToolCall)
            self._choice(choice).malformed = malformed_call(part)
            return
        if written is not None:
            said.setdefault(choice, []).append(_encode(written))

    def _ended(self, each: Ended, said: dict[int, list[bytes]]) -> None:
        """The candidate is complete, and so are the arguments of its calls."""
        choice = self._choice(each.choice)
        choice.ended = each
        if each.stop_sequence is not None:
            self._drop("stop_sequence")
        self._called(choice, each.choice, said)

    def _called(self, choice: _Choice, index: int, said: dict[int, list[bytes]]) -> None:
        for block in sorted(choice.calls):
            call = choice.calls[block]
            part = ToolCall(
                id=call.began.id,
                name=call.began.name,
                arguments="".join(call.arguments),
                custom=call.began.custom,
                signature=call.signature,
                issuer=call.issuer,
            )
            self._part(part, index, block, said)
        choice.calls = {}

    def _extra(self, each: Extra) -> None:
        if each.family is not Family.GEMINI:
            for name in each.rest:
                self._drop(name)
        elif each.choice is None:
            self._rest = {**self._rest, **each.rest}
        else:
            choice = self._choice(each.choice)
            choice.rest = {**choice.rest, **each.rest}

    def _drop(self, name: str) -> None:
        if name not in self._names:
            self._names.append(name)

    # the events of the stream

    def _choice(self, index: int) -> _Choice:
        found = self._choices.get(index)
        if found is None:
            found = self._choices[index] = _Choice()
        return found

    def _events(self, said: dict[int, list[bytes]]) -> bytes:
        out: list[bytes] = []
        for index, parts in said.items():
            self._choice(index).spoke = True
            place = b'],"role":"model"},"index":%d}]' % index
            out += (b"data: ", _HEAD, b",".join(parts), place, self._tail)
        return b"".join(out)

    def _tail_of(self) -> bytes:
        model, name = _encode(self._model), _encode(self._id)
        return b',"modelVersion":' + model + b',"responseId":' + name + b"}\r\n\r\n"

    def _last(self) -> bytes:
        candidates: list[dict[str, object]] = []
        for index, choice in sorted(self._choices.items()):
            said: dict[int, list[bytes]] = {}
            self._called(choice, index, said)  # of a candidate that never said it had ended
            ended = choice.ended or Ended(finish=Finish.STOP)
            content: object = _SILENT
            if said:
                content = {"parts": [Raw(part) for part in said[index]], "role": "model"}
            grounding = None
            if choice.citations and not self._own:
                grounding = _grounding(choice)
            whole = Choice(
                finish=ended.finish,
                native=ended.native if self._own else None,
                explanation=ended.explanation,
                index=index,
                rest=choice.rest,
            )
            candidates.append(
                {
                    "content": content,
                    **closing(
                        whole,
                        own=self._own,
                        logprobs=choice.logprobs,
                        grounding=grounding,
                        malformed=choice.malformed,
                    ),
                }
            )
        body: dict[str, object] = {**self._rest} if self._own else {}
        refused = "promptFeedback" in body and not any(each.spoke for each in self._choices.values())
        if not refused:
            body["candidates"] = candidates
        if self._usage.source is not UsageSource.NONE:
            body["usageMetadata"] = write_usage(self._usage)
        body["modelVersion"], body["responseId"] = self._model, self._id
        return _encode(body)


def _grounding(choice: _Choice) -> Raw | None:
    """The citations of all blocks of text, their places counted from the beginning of all of it."""
    found: list[Citation] = []
    text = ""
    for block in sorted({*choice.text, *(block for block, _ in choice.citations)}):
        found += [moved(each, len(text)) for place, each in choice.citations if place == block]
        text += "".join(choice.text.get(block, ()))
    return write_grounding(found, text)


def closing_event(usage: Usage, model: str, response_id: str) -> bytes:
    """The last event of an answer that is cut short."""
    candidate = {
        "content": _SILENT,
        **closing(_LENGTH, own=False, logprobs=[], grounding=None, malformed=None),
    }
    return _encode(
        {
            "candidates": [candidate],
            "usageMetadata": write_usage(usage),
            "modelVersion": model,
            "responseId": response_id,
        }
    )


class _Named(Struct, rename="camel"):
    model_version: str | None = None
    response_id: str | None = None


_named = msgspec.json.Decoder(_Named)


class GeminiVoice:
    """How the gateway speaks inside a stream that is passed on."""

    end = b""

    def __init__(self, tap: Tap, request: Request) -> None:
        self._tap = tap
        self._request = request

    def broken(self, error: AspendosError) -> bytes:
        """The error as an event."""
        return event(error_body(error))

    def cut(self, usage: Usage) -> bytes:
        """A finish reason and the usage, under the names the stream has given itself."""
        try:
            named = _named.decode(event_json(self._tap.sample.partition(b"\r\n\r\n")[0]))
        except msgspec.DecodeError:
            named = _Named()
        return event(
            closing_event(usage, named.model_version or self._request.model, named.response_id or "")
        )
