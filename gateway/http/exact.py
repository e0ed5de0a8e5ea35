"""Bodies of the management API, read strictly: `5` is a whole number, `"5"` and `5.0` are not. Refuses to answer.

Litestar converts what it reads, which is kind with names and wrong with money: an amount is what was written, or it
is refused.
"""

from typing import Any

import msgspec
from litestar import Request

from inference.ir.errors import InvalidField


async def exact_body(request: Request[Any, Any, Any]) -> None:
    """Litestar's hook before a handler. Raises InvalidField that names the field.

    What is wrong however kindly it is read is left to Litestar, which tells it with all its mistakes.
    """
    field = request.route_handler.parsed_data_field
    if field is None:
        return
    body = await request.body()
    if not body:
        return
    try:
        msgspec.json.decode(body, type=field.annotation, strict=True)
    except msgspec.ValidationError as error:
        try:
            msgspec.json.decode(body, type=field.annotation, strict=False)
        except msgspec.DecodeError:
            return
        text = str(error)
        _, _, place = text.partition(" - at `$.")
        raise InvalidField(
            f"{text}. Numbers are JSON's whole numbers and texts are texts: nothing is converted.",
            param=place.rstrip("`") or None,
        ) from error
    except msgspec.DecodeError:
        return
