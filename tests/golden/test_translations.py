"""Translations as a reviewer reads them: each file in `openai_chat/`, `anthropic/` and `gemini/` is one case.

`client asks` in the dialect named by `client`, `upstream is asked` in the format named by `wire`; on the way back
`upstream says` and `client hears`. `dropped` are the names of what could not be carried either way.
`python -m tests.golden.test_translations` writes down what comes out, to be read before it is committed.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.dialect import ChatDialect, Dialect, Setting
from gateway.dialects.field_names import as_asked
from gateway.dialects.gemini import Gemini
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_completions import Completions
from gateway.dialects.places import respelled
from inference.ir.cards import Kind, Model, Price
from inference.wire import ChatFormat, Wire

HERE = Path(__file__).parent
CASES = sorted(
    path for name in ("openai_chat", "anthropic", "gemini") for path in (HERE / name).glob("*.txt")
)
TITLES = ("client asks", "upstream is asked", "upstream says", "client hears", "dropped")
DIALECTS: dict[str, Callable[[bool], Dialect]] = {
    "openai_chat": lambda _: Chat(),
    "openai_completions": lambda _: Completions(),
    "anthropic_messages": lambda _: Messages(),
    "gemini": lambda stream: Gemini("m", stream=stream),
}
"""How each is made; only Gemini's clients ask for a stream in the address."""
CARD = Model(
    name="m",
    kind=Kind.CHAT,
    price=Price(input=0, output=0, version="v"),
    capabilities=frozenset({"tools", "json_schema", "vision", "reasoning"}),
    max_output=4096,
)


def sections(text: str) -> dict[str, str]:
    """The parts of a case by their titles; the head's `name: value` lines among them."""
    head, *parts = text.split("\n== ")
    found = dict(line.split(": ", 1) for line in head.splitlines())
    for part in parts:
        title, _, said = part.partition("\n")
        found[title] = said.strip("\n")
    return found


def sides(case: dict[str, str]) -> tuple[ChatDialect, ChatFormat]:
    dialect = DIALECTS[case["client"]](not case.get("upstream says", "").startswith("{"))
    wire: Wire = importlib.import_module(f"inference.providers.{case['wire']}").WIRE
    assert dialect.chat is not None
    assert wire.chat is not None
    return dialect.chat, wire.chat


def translated(case: dict[str, str]) -> dict[str, str]:
    """What comes out of a case: for a stream as it is heard in one piece, and the same however it is cut."""
    dialect, format = sides(case)
    asked = dialect.parse(case["client asks"].encode())
    outgoing = format.request(asked, model=case["model"], card=CARD)
    found = {"upstream is asked": json.dumps(json.loads(outgoing.body), indent=1, ensure_ascii=False)}
    places = dialect.places(case["client asks"].encode(), asked.messages)
    dropped = list(respelled(as_asked(outgoing.dropped, asked), places))
    said = case.get("upstream says", "")
    setting = Setting(id="1", model="m", created=7, include_usage=True)
    if said.startswith("{"):
        rendered = dialect.answer(format.completion(said.encode()), asked, setting)
        found["client hears"] = json.dumps(json.loads(rendered.body), indent=1, ensure_ascii=False)
        dropped += rendered.dropped
    elif said:
        heard: set[str] = set()
        data = said.encode() + b"\n\n"
        for step in (len(data), 1, 50):
            parser, writer = format.stream(), dialect.writer(asked, setting)
            events = [
                event for at in range(0, len(data), step) for event in parser.feed(data[at : at + step])
            ]
            events += parser.finish()
            # One by one, for Gemini's writer puts what comes together into one event.
            out = b"".join(writer.write([event]) for event in events) + writer.finish()
            heard.add(out.decode().replace("\r\n", "\n").strip("\n"))
        (found["client hears"],) = heard
        dropped += writer.dropped
    found["dropped"] = "\n".join(dropped)
    return found


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_translations_are_as_they_were_read(path: Path) -> None:
    case = sections(path.read_text())
    for title, said in translated(case).items():
        assert said == case.get(title, ""), title


def main() -> None:
    """Write every case anew."""
    for path in CASES:
        text = path.read_text()
        case = sections(text)
        case |= translated(case)
        head = text.split("\n== ", 1)[0]
        told = [f"\n== {title}\n{case[title]}\n" for title in TITLES if case.get(title)]
        path.write_text(head + "".join(told))


if __name__ == "__main__":
    main()
