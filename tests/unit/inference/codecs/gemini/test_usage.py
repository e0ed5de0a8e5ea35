import msgspec

from inference.codecs.gemini.usage import Modality, UsageMetadata, read_usage, usage_in, write_usage
from inference.ir.usage import NO_USAGE, Usage, UsageSource


def test_each_token_counts_once() -> None:
    said = UsageMetadata(
        prompt_token_count=100,
        cached_content_token_count=60,
        candidates_token_count=20,
        thoughts_token_count=30,
        tool_use_prompt_token_count=7,
        total_token_count=157,
        prompt_tokens_details=[
            Modality(modality="AUDIO", token_count=11),
            Modality(modality="IMAGE", token_count=5),
            Modality(modality=1, token_count=84),
        ],
        candidates_tokens_details=[Modality(modality="IMAGE", token_count=9)],
    )
    usage = read_usage(said)
    assert usage == Usage(
        input_tokens=107,
        output_tokens=50,
        cache_read_tokens=60,
        reasoning_tokens=30,
        audio_input_tokens=11,
        image_input_tokens=5,
        image_output_tokens=9,
        source=UsageSource.REPORTED,
    )
    assert read_usage(msgspec.json.decode(write_usage(usage), type=UsageMetadata)) == usage


def test_nonsense_is_not_believed() -> None:
    assert read_usage(UsageMetadata(prompt_token_count=-1)) is NO_USAGE
    assert read_usage(UsageMetadata(prompt_token_count=10**12)) is NO_USAGE
    assert read_usage(UsageMetadata(total_token_count=3)) is NO_USAGE
    assert usage_in(b"not json") is None
