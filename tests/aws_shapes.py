"""botocore's own description of Bedrock, by which it writes requests and reads answers: needs no network."""

import base64
import json
from typing import Any, cast

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import RestJSONParser
from botocore.serialize import RestJSONSerializer
from botocore.validate import ParamValidator

# botocore has no types
_LOADER: Any = Loader()
_VALIDATOR: Any = ParamValidator()
_SERIALIZER: Any = RestJSONSerializer()
SERVICE: Any = ServiceModel(_LOADER.load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")
PARSER: Any = RestJSONParser()


def check_request(body: bytes, model: str, operation: str) -> None:
    """Hold a request against the shape of its operation, and against the body that botocore would send for it."""
    shape = SERVICE.operation_model(operation)
    given = _with_bytes({**json.loads(body), "modelId": model})
    report = _VALIDATOR.validate(given, shape.input_shape)
    assert not report.has_errors(), report.generate_report()
    for name, value in given.items():
        assert name in shape.input_shape.members, name
        assert value not in ([], {}), name
    sent = _SERIALIZER.serialize_to_request(given, shape)
    assert json.loads(sent["body"]) == json.loads(body)


def _with_bytes(value: Any, key: str = "") -> Any:
    """The blobs as bytes, as botocore takes them."""
    if isinstance(value, dict):
        return {name: _with_bytes(each, name) for name, each in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_with_bytes(each) for each in cast(list[Any], value)]
    return (
        base64.b64decode(value) if key in ("bytes", "redactedContent") and isinstance(value, str) else value
    )
