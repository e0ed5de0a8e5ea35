"""Bodies of the management API, read strictly: `5` is a whole number, `"5"` and `5.0` are not. Refuses to answer.

Litestar converts what it reads, which is kind with names and wrong with money: an amount is what was written, or it
is refused. It also forgets where in a body something is missing, so that what is wrong is told here.
"""

import re
from typing import Any

import msgspec
from litestar import Request

from inference.codecs.body import explain
from inference.ir.errors import BadRequest, InvalidField

_UNKNOWN = re.compile(
    r"Object contains unknown field `(?P<field>.*?)`(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL
)


async def exact_body(request: Request[Any, Any, Any]) -> None:
    """Litestar's hook before a handler. Raises InvalidField that names the field, or BadRequest."""
    field = request.route_handler.parsed_data_field
    if field is None:
        return
    body = await request.body()
    if not body:
        if not field.is_optional:
            raise BadRequest("The request body is empty: send a JSON object.", code="empty_body")
        return
    try:
        msgspec.json.decode(body, type=field.annotation, strict=True)
    except msgspec.ValidationError as error:
        try:
            msgspec.json.decode(body, type=field.annotation, strict=False)
        except msgspec.DecodeError as worse:
            raise _told(body, worse) from None
        text = str(error)
        _, _, place = text.partition(" - at `$.")
        raise InvalidField(
            f"{text}. Numbers are JSON's whole numbers and texts are texts: nothing is converted.",
            param=place.rstrip("`") or None,
        ) from error
    except msgspec.DecodeError as error:
        raise explain(body, error) from None


def _told(body: bytes, error: msgspec.DecodeError) -> BadRequest:
    """What is wrong however kindly it is read."""
    unknown = _UNKNOWN.fullmatch(str(error))
    if unknown is None:
        return explain(body, error)
    path = unknown["path"]
    param = f"{path}.{unknown['field']}" if path else unknown["field"]
    return InvalidField(f"There is no field `{param}` here.", param=param)
