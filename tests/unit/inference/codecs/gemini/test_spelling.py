import msgspec
import pytest

from inference.codecs.gemini.spelling import camel


def test_googles_fields_change_and_nobody_elses() -> None:
    body = (
        b'{"system_instruction":{"parts":[{"inline_data":{"mime_type":"image/png","data":"x"}}]},'
        b'"contents":[{"parts":[{"function_call":{"name":"f","args":{"file_uri": 1.0, "tool_config":{"a":2}}}},'
        b'{"function_response":{"response":{"top_k":[1]}}}]}],'
        b'"tools":[{"function_declarations":[{"parameters":{"properties":{"max_output_tokens":{}}}}]}]}'
    )
    assert camel(body) == (
        b'{"systemInstruction":{"parts":[{"inlineData":{"mimeType":"image/png","data":"x"}}]},'
        b'"contents":[{"parts":[{"functionCall":{"name":"f","args":{"file_uri": 1.0, "tool_config":{"a":2}}}},'
        b'{"functionResponse":{"response":{"top_k":[1]}}}]}],'
        b'"tools":[{"functionDeclarations":[{"parameters":{"properties":{"max_output_tokens":{}}}}]}]}'
    )


def test_what_is_spelt_well_is_not_touched() -> None:
    body = b'{ "contents" : [{"parts":[{"text":"say \\"top_k\\": 1"}]}] }'
    assert camel(body) is body


def test_nonsense_is_told() -> None:
    with pytest.raises(msgspec.DecodeError):
        camel(b'{"top_k": ')
