import pytest

from inference.codecs.recordings import heard, refuse_translation
from inference.ir.errors import InvalidField
from inference.ir.transcription import TranscriptionRequest
from inference.ir.usage import NO_USAGE, UsageSource


def test_a_recording_is_counted_in_milliseconds_where_its_length_is_said() -> None:
    usage = heard(2.2504)
    assert (usage.audio_ms, usage.source) == (2250, UsageSource.REPORTED)
    assert heard(None) is heard(-1) is heard(float("nan")) is heard(1e7) is NO_USAGE


def test_what_is_to_be_translated_is_refused() -> None:
    asked = TranscriptionRequest(model="m", audio=b"x", filename="a.wav", content_type="audio/wav")
    refuse_translation(asked)
    translated = TranscriptionRequest(
        model="m", audio=b"x", filename="a.wav", content_type="audio/wav", translate=True
    )
    with pytest.raises(InvalidField, match="transcriptions") as refused:
        refuse_translation(translated)
    assert (refused.value.param, refused.value.code) == ("model", "not_translatable")
