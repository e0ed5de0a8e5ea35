"""Errors as OpenAI's SDKs read them."""

import json

from gateway.dialects.openai_errors import error_body
from inference.ir.errors import ModelNotFound


def test_errors_are_openais() -> None:
    error = json.loads(error_body(ModelNotFound("gone", param="model")))
    assert error == {
        "error": {
            "message": "gone",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
