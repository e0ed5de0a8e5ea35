"""How long a recording is, by its own head: WAV, FLAC, Ogg, MP3 and MP4. Pure; reads no sound, guesses only if asked.

A recording is billed by the length a provider reports; this is for those that report none. Who sends it wrote its head
too, so it is not believed that sound is packed looser than its kind allows: no recording is shorter than that makes it.
(RIFF: Microsoft's Multimedia Programming Interface 1.0; FLAC: RFC 9639, 8.2; Ogg: RFC 3533, 6, Opus: RFC 7845, 4;
MP3: ISO 11172-3, 2.4.2.3 and its Xing header; MP4: ISO 14496-12, 8.2.2)
"""

import struct
from typing import Any

from inference.ir.bulk import Data

GUESSED_BYTES_PER_SECOND = 4_000
"""32 kbit/s, as speech is often encoded: for what says nothing of its length."""
_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_PLAIN = frozenset({0x0001, 0x0003, 0xFFFE})
"""Kinds of WAV that hold samples as they are."""
_SAMPLING = (44_100, 48_000, 32_000)
_DENSEST_LOSSY = 64_000
_DENSEST_LOSSLESS = 1_200_000
"""Bytes a second: 512 kbit/s, more than any of these encoders is asked for, and 192 kHz of 24 bits in two channels."""
_MOST_CHUNKS = 1000
"""Chunks of a WAV that are looked through for its sound: it usually is the second."""
_LONGEST_MS = 30 * 24 * 3_600_000


def length_ms(audio: Data) -> int | None:
    """Milliseconds; None for what is none of these, or says nonsense."""
    try:
        if audio[:4] == b"RIFF" and audio[8:12] == b"WAVE":
            found, densest = _wav(audio), 0
        elif audio[:4] == b"fLaC":
            found, densest = _flac(audio), _DENSEST_LOSSLESS
        elif audio[:4] == b"OggS":
            found, densest = _ogg(audio), _DENSEST_LOSSY
        elif audio[4:8] == b"ftyp":
            found, densest = _mp4(audio), _DENSEST_LOSSY
        else:
            found, densest = _mp3(audio), _DENSEST_LOSSY
    except (struct.error, IndexError, ZeroDivisionError):
        return None
    if found is None or not 0 <= found <= _LONGEST_MS:
        return None
    return max(found, len(audio) * 1000 // densest) if densest else found


def guessed_ms(size: int) -> int:
    """An estimate by the size alone, in milliseconds."""
    return size * 1000 // GUESSED_BYTES_PER_SECOND


def _wav(audio: Data) -> int | None:
    """The size of `data` by the bytes a second: of plain samples those that are played, else those that `fmt ` names.

    One still being written says 0 or 2^32-1.
    """
    at, rate = 12, 0
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(audio):
            break
        name, size = audio[at : at + 4], _read("<I", audio, at + 4)[0]
        if name == b"fmt ":
            kind, channels, hertz, rate, _, bits = _read("<HHIIHH", audio, at + 8)
            if kind in _PLAIN:
                rate = hertz * channels * bits // 8
        elif name == b"data":
            return min(size or len(audio), len(audio) - at - 8) * 1000 // rate
        at += 8 + size + size % 2
    return None


def _flac(audio: Data) -> int | None:
    """STREAMINFO: 20 bits of sampling rate, 8 of format, 36 of how many samples."""
    packed = int.from_bytes(audio[18:26], "big")
    rate, samples = packed >> 44, packed & 0xF_FFFF_FFFF
    return samples * 1000 // rate if samples else None


def _ogg(audio: Data) -> int | None:
    """The granule position of the last page: samples, for Opus always at 48 kHz."""
    rate = None
    if b"OpusHead" in audio[:128]:
        rate = 48_000
    elif (at := audio.find(b"\x01vorbis", 0, 128)) >= 0:
        rate = _read("<I", audio, at + 12)[0]
    last = audio.rfind(b"OggS")
    return None if rate is None else _read("<q", audio, last + 6)[0] * 1000 // rate


def _mp4(audio: Data) -> int | None:
    """`moov` holds `mvhd`: a scale, and the length in it."""
    at = audio.find(b"mvhd")
    if at < 0:
        return None
    if _read("B", audio, at + 4)[0] == 1:
        scale, length = _read(">IQ", audio, at + 24)
    else:
        scale, length = _read(">II", audio, at + 16)
    return length * 1000 // scale


def _mp3(audio: Data) -> int | None:
    """Layer III: by the number of frames its first one names (Xing, Info), else by that one's bit rate."""
    at = 0
    if audio[:3] == b"ID3":
        first, second, third, fourth = _read("4B", audio, 6)
        at = 10 + ((first & 127) << 21 | (second & 127) << 14 | (third & 127) << 7 | fourth & 127)
    sync, kind, rates = _read("3B", audio, at)
    if sync != 0xFF or kind & 0xE6 != 0xE2:
        return None
    version, rate, sampling = int(kind) >> 3 & 3, int(rates) >> 4, int(rates) >> 2 & 3
    if version == 1 or rate in (0, 15) or sampling == 3:
        return None
    hertz = _SAMPLING[sampling] >> {3: 0, 2: 1, 0: 2}[version]
    for mark in (b"Xing", b"Info"):
        place = audio.find(mark, at, at + 64)
        if place >= 0 and _read("B", audio, place + 7)[0] & 1:
            frames = _read(">I", audio, place + 8)[0]
            return int(frames) * (1152 if version == 3 else 576) * 1000 // hertz
    return (len(audio) - at) * 8 // (_RATES_1 if version == 3 else _RATES_2)[rate]


def _read(format: str, audio: Data, at: int) -> tuple[Any, ...]:
    """Raises struct.error where it ends before."""
    return struct.unpack(format, audio[at : at + struct.calcsize(format)])
