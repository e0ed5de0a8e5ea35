"""WAV, read back by Python's own module."""

import io
import wave

from inference.codecs.audio_length import length_ms
from inference.codecs.wav import wav_of


def test_samples_come_back() -> None:
    samples = bytes(range(240)) * 200
    made = wav_of(samples, 24_000)
    with wave.open(io.BytesIO(made)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        assert file.readframes(100_000) == samples
    assert length_ms(made) == 1000
