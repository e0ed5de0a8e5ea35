"""WAV around plain samples: 16 bits, one channel. Pure. (Microsoft's Multimedia Programming Interface 1.0)"""

import struct


def wav_of(samples: bytes, hertz: int) -> bytes:
    """A whole file; `samples` are little-endian."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, hertz, hertz * 2, 2, 16
    )
    return head + struct.pack("<4sI", b"data", len(samples)) + samples
