"""What may be written under `providers`: where a provider is, how it is spoken to, and where its keys are kept."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from inference.catalog.figures import Seconds
from inference.catalog.words import EnvName, HeaderName, LaterCount, LaterNames, Wire, Words

_REFUSED = {"refused": "`static`: only `static` is supported in this version"}


class EnvRef(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret, by the name of the environment variable that holds it."""

    env: EnvName


class EnvUrl(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address taken from the environment where it is set there."""

    env: EnvName
    default: str | UnsetType = UNSET


class Workers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the workers of a fleet are."""

    static: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            description="Addresses such as http://10.0.0.1:8000, without /v1.",
            extra={"expected": "a list of worker addresses, such as `http://10.0.0.1:8000`"},
        ),
    ] = ()
    dns: Annotated[Any, Meta(extra=_REFUSED, extra_json_schema={"not": {}})] = UNSET
    kubernetes: Annotated[Any, Meta(extra=_REFUSED, extra_json_schema={"not": {}})] = UNSET


class TimeoutsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits on one attempt: seconds, or `500ms`, `30s`, `2m`."""

    connect: Annotated[Seconds | UnsetType, Meta(description="Until the connection stands.")] = UNSET
    first_byte: Annotated[
        Seconds | UnsetType, Meta(description="From the request's last byte to the response's first.")
    ] = UNSET
    idle: Annotated[Seconds | UnsetType, Meta(description="Between two pieces of a response.")] = UNSET
    total: Annotated[Seconds | UnsetType, Meta(description="The whole attempt.")] = UNSET


class Tls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an https provider proves who it is."""

    verify: Annotated[bool, Meta(description="`false` accepts any certificate: for tests only.")] = True
    ca: Annotated[
        str | UnsetType,
        Meta(
            description="PEM file of the authority to trust instead of the system's.",
            extra={"expected": "the path of a PEM file"},
        ),
    ] = UNSET


class AwsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What requests to AWS are signed with. The session token's variable may be empty."""

    access_key: Annotated[
        EnvRef, Meta(extra={"expected": "a mapping such as {env: AWS_ACCESS_KEY_ID}", "secret": True})
    ]
    secret_key: Annotated[
        EnvRef, Meta(extra={"expected": "a mapping such as {env: AWS_SECRET_ACCESS_KEY}", "secret": True})
    ]
    session_token: Annotated[
        EnvRef | UnsetType,
        Meta(extra={"expected": "a mapping such as {env: AWS_SESSION_TOKEN}", "secret": True}),
    ] = UNSET


class ProviderEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Wire format x address x key."""

    wire: Annotated[
        Wire, Meta(description="The protocol spoken there. Any OpenAI-compatible server is `openai`.")
    ]
    base_url: Annotated[
        str | EnvUrl | UnsetType,
        Meta(
            description="Address with its path, such as https://api.openai.com/v1.",
            extra={
                "expected": "an address such as `https://api.openai.com/v1`, or {env: NAME, default: address}"
            },
        ),
    ] = UNSET
    workers: Annotated[Workers | UnsetType, Meta(description="For wire `vllm`, instead of base_url.")] = UNSET
    key: Annotated[
        EnvRef | UnsetType,
        Meta(
            description="The provider is off while this variable is not set.",
            extra={"expected": "a mapping such as {env: OPENAI_API_KEY}", "secret": True},
        ),
    ] = UNSET
    service_account: Annotated[
        EnvRef | UnsetType,
        Meta(
            description="For wire `vertex`, instead of a key: a variable that holds the JSON of a Google service "
            "account's key, or the path of such a file. The provider is off while it is not set.",
            extra={"expected": "a mapping such as {env: GOOGLE_APPLICATION_CREDENTIALS}", "secret": True},
        ),
    ] = UNSET
    project: Annotated[
        str,
        Meta(
            pattern="^([a-z][a-z0-9.:-]{2,80})?$",
            description="For wire `vertex`, with `location` and instead of base_url: the Google Cloud project.",
            extra={"expected": "the id of a Google Cloud project"},
        ),
    ] = ""
    location: Annotated[
        str,
        Meta(
            pattern="^[a-z][a-z0-9-]{1,40}$",
            description="Where the project's models run, such as europe-west4.",
            extra={"expected": "a location of Google Cloud's, such as `europe-west4` or `global`"},
        ),
    ] = "global"
    aws: Annotated[
        AwsEntry | UnsetType,
        Meta(
            description="For wire `bedrock`, instead of a key: the variables that hold an access key of AWS, with "
            "which requests are signed. The provider is off while they are not set."
        ),
    ] = UNSET
    region: Annotated[
        str,
        Meta(
            pattern="^([a-z]{2,4}(-[a-z]+)+-[0-9]{1,2})?$",
            description="For wire `bedrock`: where its models run, such as eu-west-1; base_url is made of it.",
            extra={"expected": "a region of AWS, such as `eu-west-1`"},
        ),
    ] = ""
    headers: Annotated[
        dict[
            HeaderName,
            Annotated[str | EnvRef, Meta(extra={"expected": "text or {env: NAME}", "secret": True})],
        ],
        Meta(description="Sent with every request."),
    ] = {}
    key_check: Annotated[
        str,
        Meta(
            pattern="^(/[A-Za-z0-9._~/-]{1,200})?$",
            description="Path below base_url that answers a GET only with a good key; by default the list of models.",
            extra={"expected": "a path such as `/key`"},
        ),
    ] = ""
    also: Annotated[
        tuple[Literal["responses"], ...],
        Meta(
            description="What this server speaks beside its wire format: `responses` for OpenAI's Responses API, whose "
            "clients are then passed on instead of translated."
        ),
    ] = ()
    media_hosts: Annotated[
        tuple[
            Annotated[
                str,
                Meta(
                    pattern=r"^(\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:]*:[0-9a-f:.]*)$",
                    extra={
                        "expected": "a host in small letters, such as `pictures.intra.example`, `*.intra.example` or "
                        "`10.0.0.7`; `*` for every name"
                    },
                ),
            ],
            ...,
        ],
        Meta(
            description="Hosts inside your network whose pictures and files clients may show by address to this "
            "server, which follows addresses itself. `*` leaves names to the server, which then has to watch them."
        ),
    ] = ()
    timeouts: TimeoutsEntry = TimeoutsEntry()
    max_connections: Annotated[int, Meta(ge=1, le=65_535)] = 4096
    tls: Tls = Tls()
    description: Words | UnsetType = UNSET
    regions: LaterNames = UNSET
    max_parallel: LaterCount = UNSET
    rpm: LaterCount = UNSET
    tpm: LaterCount = UNSET
