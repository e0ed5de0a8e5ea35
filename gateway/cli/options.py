"""Options that several commands take, in the same words everywhere."""

from typing import Annotated

from cyclopts import Parameter

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]
Csv = Annotated[bool, Parameter(name="--csv", negative=(), help="Print CSV.")]
Tier = Annotated[str | None, Parameter(help="A tier of the catalogue.")]
Limits = Annotated[
    list[str] | None,
    Parameter(
        name="--limit-to",
        negative=(),
        help="Such as `requests/minute=20`, `tokens/day=100000` or `parallel=4`; repeatable. On top of a tier's.",
    ),
]
Tags = Annotated[
    list[str] | None, Parameter(name="--tag", negative=(), help="Such as `project=atlas`; repeatable.")
]
