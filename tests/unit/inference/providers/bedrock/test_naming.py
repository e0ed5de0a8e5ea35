"""Where a model of Bedrock's is, and whose."""

import pytest

from inference.providers.bedrock.naming import Maker, address, counted_as, maker, place


@pytest.mark.parametrize(
    ("model", "made_by"),
    [
        ("anthropic.claude-v2", Maker.CLAUDE),
        (
            "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.anthropic.claude-3-7-sonnet",
            Maker.CLAUDE,
        ),
        ("global.amazon.nova-2-lite-v1:0", Maker.NOVA_2),
        ("us.amazon.nova-micro-v1:0", Maker.NOVA),
        ("openai.gpt-oss-120b-1:0", Maker.GPT_OSS),
        ("qwen.qwen3-32b-v1:0", Maker.QWEN),
        ("us.deepseek.r1-v1:0", Maker.OTHER),
        ("arn:aws:bedrock:us-east-1::foundation-model/meta.llama3", Maker.OTHER),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/mi1dadi0g15f", Maker.HIDDEN),
        ("arn:aws:bedrock:us-east-1:1:provisioned-model/abc", Maker.HIDDEN),
    ],
)
def test_whose_a_model_is(model: str, made_by: Maker) -> None:
    assert maker(model) is made_by


def test_where_it_is() -> None:
    assert place("a:b/c", "converse") == "/model/a%3Ab%2Fc/converse"
    assert address("eu-west-1") == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert address("cn-north-1") == "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize(
    ("model", "counted"),
    [
        ("anthropic.claude-sonnet-4-20250514-v1:0", "anthropic.claude-sonnet-4-20250514-v1:0"),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("us-gov.anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4-6"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0",
            "anthropic.claude-3-7-sonnet-20250219-v1:0",
        ),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/mi1dadi0g15f", None),
        ("us.anthropic.claude-3-haiku-20240307-v1:0", None),
        ("anthropic.claude-v2:1", None),
        ("us.amazon.nova-micro-v1:0", None),
    ],
)
def test_counts_are_of_the_model_itself(model: str, counted: str | None) -> None:
    assert counted_as(model) == counted
