"""Blank texts: blocks of nothing but white space, which Claude and Bedrock refuse. Pure.

Models write them (a line break before a call), and SDKs that keep every piece of a stream send them back.
"""

from collections.abc import Sequence

from msgspec import Raw

Block = dict[str, object]


def without_blanks(blocks: Sequence[Block | Raw]) -> list[Block | Raw]:
    """A turn's blocks, of the form `{"text": ...}` and others: what is blank joins the text before it, else the one
    after it, and is left out where there is neither."""
    kept: list[Block | Raw] = []
    ahead = ""
    for block in blocks:
        text = _text(block)
        if text is not None and not text.strip():
            last = _text(kept[-1]) if kept else None
            if last is None:
                ahead += text
            else:
                kept[-1] = _saying(kept[-1], last + text)
            continue
        kept.append(block if text is None or not ahead else _saying(block, ahead + text))
        ahead = ""
    return kept


def _text(block: Block | Raw) -> str | None:
    found = None if isinstance(block, Raw) else block.get("text")
    return found if isinstance(found, str) else None


def _saying(block: Block | Raw, text: str) -> Block:
    assert isinstance(block, dict)
    return {**block, "text": text}
