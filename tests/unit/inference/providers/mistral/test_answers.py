import json
from typing import Any

import pytest
from msgspec import Raw

from inference.providers.mistral.answers import MistralReader


@pytest.mark.parametrize(("prefix", "rest"), [(False, {}), (True, {"message.prefix": Raw(b"true")})])
def test_that_a_message_was_not_begun_by_the_client_is_no_news(prefix: bool, rest: dict[str, Raw]) -> None:
    message: dict[str, Any] = {"role": "assistant", "content": "a", "tool_calls": None, "prefix": prefix}
    body = {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    (choice,) = MistralReader().read(json.dumps(body).encode()).choices
    assert choice.rest == rest
