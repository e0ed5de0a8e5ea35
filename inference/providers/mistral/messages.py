"""Messages written down for Mistral. Pure.

Thoughts stand in the content, documents have an address, ids of calls have nine characters, and an answer that was
begun by the client is marked as such. (https://docs.mistral.ai/api/#tag/chat)
"""

import hashlib
import string
from typing import Any

import msgspec

from inference.codecs.data_url import written_url
from inference.ir.chat import Message
from inference.ir.content import Audio, Family, File, Reasoning, ToolCall
from inference.providers.openai.chat_messages import MessageWriter, Said
from inference.providers.openai.chat_parts import PartWriter, unable

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 9


class MistralParts(PartWriter):
    """Sound and documents are said in other words than OpenAI's."""

    def audio(self, audio: Audio, path: str) -> dict[str, Any]:
        """Sound, by its bytes or its address."""
        heard = audio.source.data or audio.source.url
        if heard is None:
            raise unable(path, "audio by the id of another provider")
        return {"type": "input_audio", "input_audio": heard}

    def file(self, file: File, path: str) -> dict[str, Any]:
        """A document, by its bytes or its address."""
        self.notes(file, path)
        if file.source is None:
            return {"type": "text", "text": file.text or ""}
        source = file.source
        if source.data is not None and source.media_type is None:
            source = msgspec.structs.replace(source, media_type="application/pdf")
        url = written_url(source)
        if not url:
            raise unable(path, "a file by the id of another provider; send its bytes or address")
        said = {"type": "document_url", "document_url": url}
        if file.name is not None:
            said["document_name"] = file.name
        return said


class MistralMessages(MessageWriter):
    """Writes one conversation."""

    def part_writer(self) -> PartWriter:
        return MistralParts(self.traits, self.dropped, own=self.own)

    def written(self) -> list[Said]:
        """All messages; the last, if it is the model's own, is to be gone on with."""
        out = super().written()
        if out and out[-1]["role"] == "assistant" and "tool_calls" not in out[-1]:
            out[-1]["prefix"] = True
        return out

    def name(self, said: Said, message: Message, path: str) -> None:
        """Nobody has a name here."""
        if message.name is not None:
            self.dropped.append(f"{path}.name")

    def message_rest(self, message: Message, path: str) -> Said:
        """Clients of OpenAI's dialect may say `prefix` as they would to Mistral itself."""
        rest = dict(message.rest)
        prefix = rest.pop("prefix", None)
        said: Said = dict(self.parts.own_rest(rest, path))
        return said if prefix is None else {**said, "prefix": prefix}

    def call_id(self, given: str) -> str:
        """Nine letters and digits, the same for the same id; Mistral's own stay as they are."""
        if len(given) == _ID_LENGTH and given.isascii() and given.isalnum():
            return given
        digest = hashlib.blake2b(given.encode(), digest_size=_ID_LENGTH).digest()
        return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest)

    def call(self, said: Said, call: ToolCall, path: str) -> None:
        """A custom tool's text becomes the one argument of a function."""
        if call.custom:
            text = msgspec.json.encode({"input": call.arguments}).decode()
            call = msgspec.structs.replace(call, custom=False, arguments=text)
        super().call(said, call, path)

    def speak(self, said: Said, items: list[Any], thoughts: list[tuple[Reasoning, str]]) -> None:
        """Thoughts before the text, a refusal as text: there is no other word for it."""
        if "audio" in said:
            del said["audio"]
            self.dropped.append("messages.audio")
        refusal = said.pop("refusal", None)
        if refusal is not None:
            items = [*items, {"type": "text", "text": refusal}]
        chunks: list[Any] = []
        for thought, path in thoughts:
            own = thought.issuer is Family.MISTRAL
            text = thought.text or "\n\n".join(thought.summaries)
            if not text or not (own or thought.issuer is None):
                self.dropped.append(path)
                continue
            chunk: Said = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
            if own and thought.signature is not None:
                chunk["signature"] = thought.signature
            chunks.append(chunk)
        if chunks:
            said["content"] = [*chunks, *items]
        else:
            super().speak(said, items, [])
