import msgspec
from msgspec import Raw

from inference.codecs.gemini.logprobs import read_logprobs, write_logprobs

RESULT = {
    "chosenCandidates": [{"token": "é", "logProbability": -0.5}],
    "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}]}],
}


def test_as_openai_writes_them_and_back() -> None:
    read = read_logprobs(Raw(msgspec.json.encode(RESULT)))
    assert read is not None
    assert msgspec.json.decode(read) == {
        "content": [
            {
                "token": "é",
                "logprob": -0.5,
                "bytes": [195, 169],
                "top_logprobs": [{"token": "é", "logprob": -0.5, "bytes": [195, 169]}],
            }
        ]
    }
    written = write_logprobs([read])
    assert written is not None and msgspec.json.decode(written) == RESULT
    assert read_logprobs(Raw(b"7")) is None
    assert write_logprobs([]) is None
