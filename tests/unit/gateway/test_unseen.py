"""Fields a model is never to see."""

import pytest

from gateway.unseen import body_without, check_allowed, form_without
from inference.codecs.form import read_form
from inference.ir.errors import InvalidField

FORM = (
    b'--x\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nhi\r\n'
    b'--x\r\ncontent-disposition: form-data; name="user"\r\n\r\nme\r\n--x--\r\n'
)


def test_a_body_less_what_it_has_of_them() -> None:
    body = b'{ "model": "m", "user": "me", "x": 1.50 }'
    assert body_without(body, frozenset({"user", "seed"})) == (b'{"model":"m","x":1.50}', ("user",))
    assert body_without(body, frozenset({"seed"})) == (body, ())


@pytest.mark.parametrize(
    ("name", "body", "left", "gone"),
    [
        (
            "seed",
            '{"generationConfig":{"seed":1,"topK":2.50}}',
            '{"generationConfig":{"topK":2.50}}',
            "generationConfig.seed",
        ),
        (
            "stop",
            '{"generation_config":{"stop_sequences":["x"]}}',
            '{"generation_config":{}}',
            "generation_config.stop_sequences",
        ),
        ("stop", '{"stop_sequences":["x"]}', "{}", "stop_sequences"),
        ("max_tokens", '{"max_output_tokens":5}', "{}", "max_output_tokens"),
        (
            "max_tokens",
            '{"generationConfig":{"maxOutputTokens":5}}',
            '{"generationConfig":{}}',
            "generationConfig.maxOutputTokens",
        ),
        ("max_tokens", '{"max_completion_tokens":5}', '{"max_completion_tokens":5}', ""),
        (
            "response_format",
            '{"text":{"format":{},"verbosity":"low"}}',
            '{"text":{"verbosity":"low"}}',
            "text.format",
        ),
        (
            "response_format",
            '{"output_config":{"format":{},"effort":"low"}}',
            '{"output_config":{"effort":"low"}}',
            "output_config.format",
        ),
        ("response_format", '{"output_format":{"type":"json_schema"}}', "{}", "output_format"),
        ("response_format", '{"output_format":"png"}', '{"output_format":"png"}', ""),
        (
            "response_format",
            '{"generationConfig":{"responseMimeType":"application/json","responseSchema":{},"responseJsonSchema":{}}}',
            '{"generationConfig":{}}',
            "generationConfig.responseJsonSchema generationConfig.responseMimeType generationConfig.responseSchema",
        ),
        ("reasoning_effort", '{"reasoning":{"effort":"low"}}', "{}", "reasoning"),
        (
            "reasoning_effort",
            '{"thinking":{"type":"adaptive"},"output_config":{"effort":"low"}}',
            '{"output_config":{}}',
            "output_config.effort thinking",
        ),
        (
            "reasoning_effort",
            '{"generationConfig":{"thinkingConfig":{}}}',
            '{"generationConfig":{}}',
            "generationConfig.thinkingConfig",
        ),
        (
            "logprobs",
            '{"generationConfig":{"responseLogprobs":true,"logprobs":3}}',
            '{"generationConfig":{}}',
            "generationConfig.logprobs generationConfig.responseLogprobs",
        ),
        ("user", '{"metadata":{"user_id":"me"}}', '{"metadata":{}}', "metadata.user_id"),
        ("metadata", '{"metadata":{"user_id":"me"}}', "{}", "metadata"),
        (
            "temperature",
            '{"generationConfig":null,"text":"temperature"}',
            '{"generationConfig":null,"text":"temperature"}',
            "",
        ),
    ],
)
def test_what_other_dialects_call_the_same(name: str, body: str, left: str, gone: str) -> None:
    assert body_without(body.encode(), frozenset({name})) == (left.encode(), tuple(gone.split()))


def test_a_form_less_what_it_has_of_them() -> None:
    form = read_form(FORM)
    left, gone = form_without(form, frozenset({"user", "seed"}))
    assert ([part.name for part in left.parts], left.whole, gone) == (["prompt"], False, ("user",))
    assert form_without(form, frozenset({"seed"})) == (form, ())


def test_who_wants_all_is_told() -> None:
    check_allowed(("user",), strict=False)
    check_allowed((), strict=True)
    with pytest.raises(InvalidField, match="leave out user") as refused:
        check_allowed(("user",), strict=True)
    assert (refused.value.param, refused.value.code) == ("user", "not_translatable")
