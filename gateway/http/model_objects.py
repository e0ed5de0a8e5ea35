"""Model objects: one model of the catalogue as OpenAI's, Anthropic's and Google's clients read it. Pure."""

from msgspec import Struct

from billing.pricing import usd
from inference.ir.cards import Kind, Model, Price

_GEMINI_METHODS = {
    Kind.CHAT: ["generateContent", "streamGenerateContent", "countTokens"],
    Kind.EMBEDDING: ["embedContent", "batchEmbedContents"],
}
_NO_DATE = "1970-01-01T00:00:00Z"
"""What Anthropic itself says of a model whose day of release is unknown."""


class Pricing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """USD as decimal text: for a million tokens or characters, one picture or search, an hour of audio.

    What is left out costs as much as the whole it is part of, or is not what the model is sold by.
    """

    input: str
    output: str
    cache_read: str | None = None
    cache_write: str | None = None
    cache_write_1h: str | None = None
    reasoning: str | None = None
    audio_input: str | None = None
    audio_output: str | None = None
    image_input: str | None = None
    image_output: str | None = None
    per_image: str | None = None
    per_hour: str | None = None
    per_million_characters: str | None = None
    per_search: str | None = None


class ModelObject(Struct, frozen=True, kw_only=True):
    """OpenAI's model object, and what a client may want to know beside it."""

    id: str
    created: int = 0
    object: str = "model"
    owned_by: str
    kind: Kind
    context_window: int | None = None
    max_output: int | None = None
    capabilities: list[str] = []
    alias_of: str | None = None
    pricing: Pricing
    description: str | None = None


class ModelList(Struct, frozen=True, kw_only=True):
    """OpenAI's list."""

    object: str = "list"
    data: list[ModelObject]


class AnthropicModel(Struct, frozen=True, kw_only=True):
    """A model as Anthropic's SDKs read it; limits in tokens. (https://docs.anthropic.com/en/api/models-list)"""

    type: str = "model"
    id: str
    display_name: str
    created_at: str = _NO_DATE
    lifecycle: str = "active"
    max_input_tokens: int | None = None
    max_tokens: int | None = None


class AnthropicModelList(Struct, frozen=True, kw_only=True):
    """Anthropic's list; all on one page."""

    data: list[AnthropicModel]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


class GeminiModel(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A model as Google's SDKs read it; limits in tokens. (https://ai.google.dev/api/models)"""

    name: str
    display_name: str
    description: str | None = None
    input_token_limit: int | None = None
    output_token_limit: int | None = None
    supported_generation_methods: list[str]


class GeminiModelList(Struct, frozen=True, kw_only=True):
    """Google's list; all on one page."""

    models: list[GeminiModel]


def openai_model(name: str, model: Model) -> ModelObject:
    """OpenAI's object of a model by one of its names."""
    return ModelObject(
        id=name,
        owned_by=(model.targets or model.locked_targets)[0].provider.name,
        kind=model.kind,
        context_window=model.context_window,
        max_output=model.max_output,
        capabilities=sorted(model.capabilities),
        alias_of=model.name if name != model.name else None,
        pricing=_pricing(model.price),
        description=model.description,
    )


def anthropic_model(name: str, model: Model) -> AnthropicModel:
    """Anthropic's."""
    return AnthropicModel(
        id=name, display_name=name, max_input_tokens=model.context_window, max_tokens=model.max_output
    )


def anthropic_list(models: list[AnthropicModel]) -> AnthropicModelList:
    """All of them, the first and the last named."""
    ends = (models[0].id, models[-1].id) if models else (None, None)
    return AnthropicModelList(data=models, first_id=ends[0], last_id=ends[1])


def gemini_model(name: str, model: Model) -> GeminiModel:
    """Google's."""
    return GeminiModel(
        name=f"models/{name}",
        display_name=name,
        description=model.description,
        input_token_limit=model.context_window,
        output_token_limit=model.max_output,
        supported_generation_methods=_GEMINI_METHODS.get(model.kind, []),
    )


def _pricing(price: Price) -> Pricing:
    figures = {name: getattr(price, name) for name in Pricing.__struct_fields__}
    said = {name: figure for name, figure in figures.items() if figure or not name.startswith("per_")}
    return Pricing(**{name: usd(figure) for name, figure in said.items() if figure is not None})
