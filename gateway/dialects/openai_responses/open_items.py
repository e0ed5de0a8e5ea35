"""Items on their way: what a stream has begun to say and not yet closed, and the events around it. Pure."""

import msgspec
from msgspec import Raw

from gateway.dialects.openai_responses.voice import event
from inference.ir.events import CallBegan

_encode = msgspec.json.Encoder().encode


class Lines:
    """Numbers events as they are written."""

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = 0

    def say(self, kind: str, **payload: object) -> bytes:
        """One event with the next number."""
        number = self.next
        self.next = number + 1
        return event(kind, {**payload, "sequence_number": number})

    def piece(self, head: bytes, text: str, tail: bytes = b"") -> bytes:
        """One piece of text; `head` is the event up to it. The path that most events take."""
        number = self.next
        self.next = number + 1
        return b'%b%b%b,"sequence_number":%d}\n\n' % (head, _encode(text), tail, number)


def piece_head(kind: str, item_id: str, index: int, place: bytes = b"") -> bytes:
    """The event of a piece up to its text."""
    return b'event: %b\ndata: {"type":"%b","item_id":"%b","output_index":%d%b,"delta":' % (
        kind.encode(),
        kind.encode(),
        item_id.encode(),
        index,
        place,
    )


class OpenText:
    """A part of a message: text or a refusal."""

    __slots__ = ("annotations", "head", "logprobs", "pieces", "place", "refusal")

    def __init__(self, item_id: str, index: int, place: int, *, refusal: bool) -> None:
        self.place = place
        self.refusal = refusal
        self.pieces: list[str] = []
        self.annotations: list[object] = []
        self.logprobs: list[Raw] = []
        kind = "response.refusal.delta" if refusal else "response.output_text.delta"
        self.head = piece_head(kind, item_id, index, b',"content_index":%d' % place)

    def part(self, *, empty: bool = False) -> dict[str, object]:
        """The part as it stands, or as it began."""
        text = "" if empty else "".join(self.pieces)
        if self.refusal:
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "text": text,
            "annotations": [] if empty else self.annotations,
            "logprobs": [] if empty else self.logprobs,
        }


class OpenMessage:
    """A message: its parts come one after the other."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        self.parts: list[OpenText] = []
        self.more: dict[str, object] = {}

    def item(self, status: str) -> dict[str, object]:
        content = [part.part() for part in self.parts] if status != "in_progress" else []
        return {
            "id": self.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
            **self.more,
        }

    def open_part(self, lines: Lines, *, refusal: bool) -> bytes:
        """The next part begins."""
        part = OpenText(self.id, self.index, len(self.parts), refusal=refusal)
        self.parts.append(part)
        return lines.say(
            "response.content_part.added",
            item_id=self.id,
            output_index=self.index,
            content_index=part.place,
            part=part.part(empty=True),
        )

    def close_part(self, lines: Lines) -> bytes:
        """The last part is complete."""
        part = self.parts[-1]
        where = {"item_id": self.id, "output_index": self.index, "content_index": part.place}
        text = "".join(part.pieces)
        if part.refusal:
            done = lines.say("response.refusal.done", **where, refusal=text)
        else:
            done = lines.say("response.output_text.done", **where, text=text, logprobs=part.logprobs)
        return done + lines.say("response.content_part.done", **where, part=part.part())


class OpenReasoning:
    """What was thought, and a summary of it in several parts; sealed when its issuer says so."""

    def __init__(self, item_id: str, index: int) -> None:
        self.id = item_id
        self.index = index
        self.pieces: list[str] = []
        self.summaries: list[list[str]] = []
        self.summary: int | None = None
        self.sealed: str | None = None
        self.head = piece_head("response.reasoning_text.delta", item_id, index, b',"content_index":0')
        self.summary_head = b""

    def item(self, status: str) -> dict[str, object]:
        found: dict[str, object] = {
            "id": self.id,
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "".join(each)} for each in self.summaries],
        }
        if self.pieces:
            found["content"] = [{"type": "reasoning_text", "text": "".join(self.pieces)}]
        if self.sealed is not None:
            found["encrypted_content"] = self.sealed
        return found

    def think(self, lines: Lines, text: str) -> bytes:
        """A piece of the thought itself."""
        out = b""
        if not self.pieces:
            out = lines.say(
                "response.content_part.added",
                item_id=self.id,
                output_index=self.index,
                content_index=0,
                part={"type": "reasoning_text", "text": ""},
            )
        self.pieces.append(text)
        return out + lines.piece(self.head, text)

    def summarise(self, lines: Lines, text: str, number: int) -> bytes:
        """A piece of the summary's part `number`."""
        out = b""
        if number != self.summary:
            out = self.close_summary(lines)
            self.summary = number
            self.summaries.append([])
            place = len(self.summaries) - 1
            self.summary_head = piece_head(
                "response.reasoning_summary_text.delta", self.id, self.index, b',"summary_index":%d' % place
            )
            out += lines.say(
                "response.reasoning_summary_part.added",
                item_id=self.id,
                output_index=self.index,
                summary_index=place,
                part={"type": "summary_text", "text": ""},
            )
        self.summaries[-1].append(text)
        return out + lines.piece(self.summary_head, text)

    def close_summary(self, lines: Lines) -> bytes:
        """The part of the summary that was being said is complete."""
        if self.summary is None:
            return b""
        self.summary = None
        place, text = len(self.summaries) - 1, "".join(self.summaries[-1])
        where = {"item_id": self.id, "output_index": self.index, "summary_index": place}
        return lines.say("response.reasoning_summary_text.done", **where, text=text) + lines.say(
            "response.reasoning_summary_part.done", **where, part={"type": "summary_text", "text": text}
        )

    def close(self, lines: Lines) -> bytes:
        """Everything but the item itself."""
        out = self.close_summary(lines)
        if self.pieces:
            where = {"item_id": self.id, "output_index": self.index, "content_index": 0}
            text = "".join(self.pieces)
            out += lines.say("response.reasoning_text.done", **where, text=text)
            part = {"type": "reasoning_text", "text": text}
            out += lines.say("response.content_part.done", **where, part=part)
        return out


class OpenCall:
    """A call of a function, or of a tool that takes any text. Several may be open at a time."""

    def __init__(self, item_id: str, index: int, began: CallBegan, *, own: bool) -> None:
        self.id = item_id
        self.index = index
        self.began = began
        self.pieces: list[str] = []
        self.sealed: str | None = None
        self._more: dict[str, Raw] = began.rest if own else {}
        kind = "custom_tool_call_input" if began.custom else "function_call_arguments"
        self.kind = f"response.{kind}"
        self.head = piece_head(f"{self.kind}.delta", item_id, index)

    def item(self, status: str) -> dict[str, object]:
        began = self.began
        return {
            "type": "custom_tool_call" if began.custom else "function_call",
            "call_id": began.id,
            "name": began.name,
            "input" if began.custom else "arguments": "".join(self.pieces),
            "id": self.id,
            **self._more,
            "status": status,
        }

    def close(self, lines: Lines) -> bytes:
        """Everything but the item itself."""
        told = {"input" if self.began.custom else "arguments": "".join(self.pieces)}
        if not self.began.custom:
            told["name"] = self.began.name
        return lines.say(f"{self.kind}.done", item_id=self.id, output_index=self.index, **told)


Open = OpenMessage | OpenReasoning | OpenCall
