"""Other providers' signatures through the one opaque field, byte for byte; OpenAI's own as they are."""

import msgspec
import pytest

from inference.codecs.responses.seals import SEAL_MARK, Seal, read_seal, write_seal
from inference.ir.content import Family


@pytest.mark.parametrize(
    "seal",
    [
        Seal(issuer=Family.ANTHROPIC, signature='a"b\\c:é'),
        Seal(issuer=Family.ANTHROPIC, redacted="zzz"),
        Seal(issuer=Family.GEMINI, signature="s", call="call:1"),
        Seal(issuer=Family.GEMINI, signature="s", text=True),
    ],
)
def test_wrapped_ones_come_back(seal: Seal) -> None:
    written = write_seal(seal)
    assert read_seal(written) == seal
    assert msgspec.json.encode(written).startswith(SEAL_MARK)


def test_openais_own_stand_there_as_they_are() -> None:
    own = Seal(issuer=Family.OPENAI_RESPONSES, signature="gAAAA")
    assert write_seal(own) == "gAAAA"
    assert read_seal("gAAAA") == own
