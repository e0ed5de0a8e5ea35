"""How long recordings are, by heads made after their specifications; WAV by Python's own module."""

import struct

import pytest

from inference.codecs.audio_length import guessed_ms, length_ms
from tests.media_peers import sound_file


def flac(samples: int, rate: int = 44_100) -> bytes:
    """The head: STREAMINFO of 34 bytes."""
    packed = rate << 44 | 1 << 41 | 15 << 36 | samples
    return b"fLaC\x80\0\0\x22" + b"\0" * 10 + packed.to_bytes(8, "big") + b"\0" * 16


def ogg(granule: int, head: bytes) -> bytes:
    """Two pages; the last one's granule counts."""
    page = b"OggS\0\x02" + struct.pack("<qIIIB", 0, 1, 0, 0, 1) + b"\x13" + head
    return page + b"OggS\0\x04" + struct.pack("<qIIIB", granule, 1, 1, 0, 1) + b"\x01a"


def mp4(scale: int, length: int, version: int = 0) -> bytes:
    """`ftyp`, then `moov` with `mvhd`."""
    times = (
        struct.pack(">QQIQ", 0, 0, scale, length) if version else struct.pack(">IIII", 0, 0, scale, length)
    )
    return (
        b"\0\0\0\x10ftypM4A \0\0\0\0" + b"\0\0\0\x74moov\0\0\0\x6cmvhd" + bytes([version]) + b"\0\0\0" + times
    )


def mp3(frames: int | None = None, *, size: int = 16_000, tag: bytes = b"") -> bytes:
    """MPEG 1 layer III, 128 kbit/s, 44.1 kHz."""
    head = b"\xff\xfb\x90\x00"
    if frames is not None:
        head += b"\0" * 32 + b"Xing" + struct.pack(">II", 1, frames)
    return tag + head.ljust(size, b"\0")


@pytest.mark.parametrize(
    ("audio", "milliseconds"),
    [
        (sound_file(1500), 1500),
        (flac(88_200), 2000),
        (ogg(96_000, b"OpusHead\x01\x01"), 2000),
        (ogg(44_100, b"\x01vorbis\0\0\0\0\x02" + struct.pack("<I", 22_050)), 2000),
        (mp4(600, 900), 1500),
        (mp4(600, 900, version=1), 1500),
        (mp3(), 1000),
        (mp3(100), 2612),
        (mp3(tag=b"ID3\x04\0\0\0\0\0\x05abcde"), 1000),
    ],
)
def test_lengths(audio: bytes, milliseconds: int) -> None:
    assert length_ms(audio) == milliseconds


def test_a_wav_that_was_cut_or_never_finished_is_as_long_as_it_is() -> None:
    whole = sound_file(2000)
    assert length_ms(whole[: 44 + 16_000]) == 500
    unfinished = whole[:40] + b"\xff\xff\xff\xff" + whole[44:]
    assert length_ms(unfinished) == 2000


@pytest.mark.parametrize(
    "audio",
    [
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0WAVE",
        b"fLaC",
        b"OggS",
        b"\0\0\0\0ftyp",
        b"ID3",
        b"no sound",
        flac(0),
        mp4(0, 1),
    ],
)
def test_what_says_nothing(audio: bytes) -> None:
    assert length_ms(audio) is None


def test_every_cut_is_survived() -> None:
    for audio in (flac(9), ogg(9, b"OpusHead"), mp4(600, 9), mp3(9, size=80), sound_file(1)):
        for end in range(len(audio)):
            length_ms(audio[:end])


def test_a_guess() -> None:
    assert guessed_ms(8_000) == 2_000
