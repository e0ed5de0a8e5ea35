"""The passthrough lane as a reviewer reads it: what the client says, what the upstream is asked, and the way back.

Each file in `lane/` is one case; nothing but what it shows may change on the way.
"""

import importlib
from pathlib import Path

import pytest

from gateway.dialects.openai_chat import Chat
from inference.wire import Original, Wire

CASES = sorted((Path(__file__).parent / "lane").glob("*.txt"))


def sections(path: Path) -> dict[str, str]:
    """The parts of a case by their titles; the head's `name: value` lines among them."""
    head, *parts = path.read_text().split("\n== ")
    found = dict(line.split(": ", 1) for line in head.splitlines())
    for part in parts:
        title, _, text = part.partition("\n")
        found[title] = text
    return found


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_lane_changes_only_what_is_shown(path: Path) -> None:
    case = sections(path)
    wire: Wire = importlib.import_module(f"inference.providers.{case['wire']}").WIRE
    body = case["client asks"].strip().encode()
    asked = Chat().decode(body)
    assert asked.model == case["asked"]
    lane = wire.lanes["chat"]
    sent = lane.request(
        Original(body=body, model=asked.model, stream=asked.stream, hints=asked.hints), case["model"]
    )
    assert sent.decode() == case["upstream is asked"].strip()
    said = case.get("upstream says", "").encode()
    if not said:
        return
    for step in (len(said), 1, 50):
        tap = lane.stream(asked.options)
        heard = b"".join(tap.feed(said[at : at + step]) for at in range(0, len(said), step)) + tap.finish()
        assert heard.decode() == case["client hears"]
        usage = tap.usage()
        assert case["usage"].strip() == (
            f"{usage.input_tokens} in, {usage.output_tokens} out, {usage.cache_read_tokens} cached, {usage.source}"
        )
