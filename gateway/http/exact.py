"""Bodies of the management API, read strictly: `5` is a whole number, `"5"` and `5.0` are not. Refuses to answer.

Litestar converts what it reads, which is kind with names and wrong with money: an amount is what was written, or it
is refused. It also forgets where in a body something is missing, so that what is wrong is told here.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Request

from inference.codecs.body import explain
from inference.ir.errors import BadRequest, InvalidField

_UNKNOWN = re.compile(
    r"Object contains unknown field `(?P<field>.*?)`(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL
)
_STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")


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
            raise _told(body, worse, field.annotation) from None
        text = str(error)
        _, _, place = text.partition(" - at `$.")
        raise InvalidField(
            f"{text}. Numbers are JSON's whole numbers and texts are texts: nothing is converted.",
            param=place.rstrip("`") or None,
        ) from error
    except msgspec.DecodeError as error:
        raise explain(body, error) from None


def _told(body: bytes, error: msgspec.DecodeError, wanted: Any) -> BadRequest:
    """What is wrong however kindly it is read as `wanted`."""
    unknown = _UNKNOWN.fullmatch(str(error))
    if unknown is None:
        return explain(body, error)
    path = unknown["path"]
    param = f"{path}.{unknown['field']}" if path else unknown["field"]
    said = f"There is no field `{param}` here."
    known = _fields_at(wanted, path or "")
    if known:
        near = difflib.get_close_matches(unknown["field"][:100], known, n=1)
        meant = f" Did you mean `{near[0]}`?" if near else ""
        said = f"{said}{meant} Known are {', '.join(f'`{name}`' for name in known)}."
    return InvalidField(said, param=param)


def _fields_at(wanted: Any, path: str) -> list[str]:
    """The fields of the object at a path such as `parts[0].price`, by name."""
    kinds = list(_plain([msgspec.inspect.type_info(wanted)]))
    for step in _STEP.findall(path):
        kinds = list(_plain(inner for kind in kinds for inner in _within(kind, step)))
    structs = [kind for kind in kinds if isinstance(kind, msgspec.inspect.StructType)]
    return sorted({field.encode_name for struct in structs for field in struct.fields})


def _plain(kinds: Iterable[msgspec.inspect.Type]) -> Iterable[msgspec.inspect.Type]:
    """Unions as what they are of, and what is only annotated as what it is."""
    for kind in kinds:
        if isinstance(kind, msgspec.inspect.UnionType):
            yield from _plain(kind.types)
        elif isinstance(kind, msgspec.inspect.Metadata):
            yield from _plain([kind.type])
        else:
            yield kind


def _within(kind: msgspec.inspect.Type, step: str) -> Iterable[msgspec.inspect.Type]:
    """What lies one step further in: under a name, `[2]` of an array or `[...]` of a map."""
    match kind:
        case msgspec.inspect.StructType():
            return [field.type for field in kind.fields if field.encode_name == step]
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType():
            return [kind.item_type]
        case msgspec.inspect.DictType():
            return [kind.value_type]
        case _:
            return []
