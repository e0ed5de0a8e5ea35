"""App: the worker's HTTP surface as a raw ASGI application. Reads requests, writes answers; models do the rest."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from inference.ir.cards import Kind
from inference.ir.errors import (
    AspendosError,
    BadRequest,
    ClientGone,
    Internal,
    InvalidField,
    MethodNotAllowed,
    ModelNotFound,
    NotFound,
)
from inference.local import answers
from inference.local.chat_model import ChatModel, Piece
from inference.local.completion import Completion
from inference.local.embedding_model import EmbeddingModel, Vectors, normalized
from inference.local.intake import Receive, Scope, read_body, until_gone
from inference.local.library import LocalCard
from inference.local.meters import Meters
from inference.local.questions import (
    ChatQuestion,
    EmbeddingQuestion,
    TextQuestion,
    check_fits,
    check_supported,
    decode,
    plain_messages,
    sampling_for,
    token_lists,
)
from inference.local.reply import Reply, Send
from inference.local.slots import Slots

Handler = Callable[[bytes, Reply], Awaitable[None]]

MAX_BODY = 32 << 20
QUEUE = 256
"""Requests that may wait for one model; the next is told to come back."""

PROMETHEUS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class LocalWorker:
    """The ASGI application over loaded models.

    `clock` gives seconds since 1970, `new_id` a fresh random id without prefix; `engine` names engine and version.
    """

    def __init__(
        self,
        chat: Mapping[str, ChatModel],
        embedding: Mapping[str, EmbeddingModel],
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        engine: str,
        max_body: int = MAX_BODY,
        queue: int = QUEUE,
    ) -> None:
        self._chat = dict(chat)
        self._embedding = dict(embedding)
        self._clock = clock
        self._new_id = new_id
        self._engine = engine
        self._max_body = max_body
        self._created = int(clock())
        self.meters = Meters()
        self._writers: dict[str, Slots[Piece]] = {}
        self._readers: dict[str, Slots[Vectors]] = {}
        for name, model in self._chat.items():
            slots = self._writers[name] = Slots(name, parallel=model.parallel, queue=queue)
            self._watch(name, slots)
        for name, model in self._embedding.items():
            slots = self._readers[name] = Slots(name, parallel=model.parallel, queue=queue)
            self._watch(name, slots)
        self._routes: dict[str, tuple[str, Handler]] = {
            "/v1/chat/completions": ("POST", self._complete_chat),
            "/v1/completions": ("POST", self._complete_text),
            "/v1/embeddings": ("POST", self._embed),
            "/v1/models": ("GET", self._list_models),
            "/health": ("GET", self._health),
            "/metrics": ("GET", self._metrics),
        }

    def _watch(self, name: str, slots: Slots[Any]) -> None:
        self.meters.watch(name, lambda: slots.running, lambda: slots.waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI connection: an HTTP request, or the server's start and stop."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, Reply(send))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for slots in (*self._writers.values(), *self._readers.values()):
            slots.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, reply: Reply) -> None:
        started = time.perf_counter()
        route = "other"
        try:
            route, handler = self._route(scope["method"], scope["path"])
            body = await read_body(scope, receive, self._max_body)
            started = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                work = group.create_task(self._answer(handler, body, reply))

                def gone() -> None:
                    if not reply.complete:
                        reply.status = ClientGone.status
                        work.cancel()

                watch = group.create_task(until_gone(receive, gone))
                work.add_done_callback(lambda _: watch.cancel())
        except ClientGone:
            reply.status = ClientGone.status
        except AspendosError as error:
            await reply.refuse(error)
        self.meters.requests.labels(route, reply.model, str(reply.status)).inc()
        self.meters.duration.labels(route, reply.model).observe(time.perf_counter() - started)

    def _route(self, method: str, path: str) -> tuple[str, Handler]:
        if path in self._routes:
            allowed, handler = self._routes[path]
            route = path
        elif path.startswith("/v1/models/"):
            name = path.removeprefix("/v1/models/")
            allowed, route = "GET", "/v1/models/{model}"

            def handler(_: bytes, reply: Reply, /) -> Awaitable[None]:
                return self._show_model(name, reply)

        else:
            raise NotFound(f"there is nothing at {path}", code="unknown_url")
        if method != allowed and not (method == "HEAD" and allowed == "GET"):
            raise MethodNotAllowed(f"{path} takes {allowed}, not {method}")
        return route, handler

    async def _answer(self, handler: Handler, body: bytes, reply: Reply) -> None:
        """Run one handler; what it raises becomes the response, or an event in a stream that has begun."""
        try:
            await handler(body, reply)
        except AspendosError as error:
            await reply.refuse(error)
        except Exception as error:
            await reply.refuse(Internal(f"the embedded worker failed: {type(error).__name__}: {error}"))

    async def _health(self, body: bytes, reply: Reply) -> None:
        await reply.json(200, {"status": "ok", "models": [card.name for card in self._cards()]})

    async def _metrics(self, body: bytes, reply: Reply) -> None:
        await reply.whole(200, self.meters.render(), PROMETHEUS)

    async def _list_models(self, body: bytes, reply: Reply) -> None:
        data = [answers.model(card, self._created) for card in self._cards()]
        await reply.json(200, {"object": "list", "data": data})

    async def _show_model(self, name: str, reply: Reply) -> None:
        card = next((card for card in self._cards() if card.name.lower() == name.lower()), None)
        if card is None:
            raise self._unknown(name)
        await reply.json(200, answers.model(card, self._created))

    async def _complete_chat(self, body: bytes, reply: Reply) -> None:
        question = decode(body, ChatQuestion)
        model = self._chat_model(question.model, reply)
        check_supported(question)
        prompt = model.chat_prompt(plain_messages(question.messages))
        await self._complete(model, question, [prompt], reply)

    async def _complete_text(self, body: bytes, reply: Reply) -> None:
        question = decode(body, TextQuestion)
        model = self._chat_model(question.model, reply)
        check_supported(question)
        given = token_lists(question.prompt, param="prompt", vocabulary=model.vocabulary)
        prompts = [model.text_prompt(item) if isinstance(item, str) else item for item in given]
        if not all(prompts):
            raise BadRequest("the prompt is empty", param="prompt")
        await self._complete(model, question, prompts, reply)

    async def _complete(
        self, model: ChatModel, question: ChatQuestion | TextQuestion, prompts: list[list[int]], reply: Reply
    ) -> None:
        """Generate `n` answers to every prompt, one after the other, in one slot."""
        jobs = [(prompt, sampling_for(question, model.card, len(prompt))) for prompt in prompts]
        times = question.n or 1
        echo = isinstance(question, TextQuestion) and bool(question.echo)

        def work(emit: Callable[[Piece], None], gone: Callable[[], bool]) -> None:
            for index in range(len(jobs) * times):
                prompt, sampling = jobs[index // times]
                if sampling.seed is not None:
                    sampling = msgspec.structs.replace(sampling, seed=sampling.seed + index % times)
                if echo:
                    emit(Piece(index=index, text=model.text_of(prompt), tokens=0))
                model.generate(index, prompt, sampling, emit, gone)

        chat = isinstance(question, ChatQuestion)
        heading = answers.Heading(
            id=("chatcmpl-" if chat else "cmpl-") + self._new_id(),
            created=int(self._clock()),
            model=model.card.name,
            fingerprint=f"{self._engine}-{model.card.stamp[:8]}",
            chat=chat,
        )
        name, read, started = model.card.name, sum(map(len, prompts)), time.perf_counter()

        def count(written: int) -> None:
            self.meters.tokens.labels(name, "input").inc(read)
            self.meters.tokens.labels(name, "output").inc(written)

        completion = Completion(
            question,
            heading,
            prompt_tokens=read,
            on_first=lambda: self.meters.first_token.labels(name).observe(time.perf_counter() - started),
            on_end=count,
        )
        await completion.answer(self._writers[name], work, reply)

    async def _embed(self, body: bytes, reply: Reply) -> None:
        question = decode(body, EmbeddingQuestion)
        model = self._find(self._embedding, question.model, Kind.EMBEDDING)
        reply.model = name = model.card.name
        dimensions = model.card.dimensions or 0
        if question.encoding_format not in (None, "float", "base64"):
            raise BadRequest("encoding_format is 'float' or 'base64'", param="encoding_format")
        if question.dimensions is not None and question.dimensions > dimensions:
            raise BadRequest(f"{name} has {dimensions} dimensions, no more", param="dimensions")
        given = token_lists(question.input, param="input", vocabulary=model.vocabulary)
        if "" in given:
            raise InvalidField("input cannot be an empty string", param="input")
        counted = 0

        def work(emit: Callable[[Vectors], None], gone: Callable[[], bool]) -> None:
            nonlocal counted
            inputs = [model.tokens(item) if isinstance(item, str) else item for item in given]
            check_fits(inputs, model.card)
            counted = sum(map(len, inputs))
            emit(model.embed(inputs, gone))

        async with aclosing(self._readers[name].run(work)) as run:
            vectors = await anext(run)
        if question.dimensions is not None and question.dimensions < dimensions:
            vectors = normalized(vectors[:, : question.dimensions])
        self.meters.tokens.labels(name, "input").inc(counted)
        as_base64 = question.encoding_format == "base64"
        await reply.json(200, answers.embeddings(name, vectors, counted, as_base64=as_base64))

    def _cards(self) -> list[LocalCard]:
        return [model.card for model in (*self._chat.values(), *self._embedding.values())]

    def _chat_model(self, name: str, reply: Reply) -> ChatModel:
        model = self._find(self._chat, name, Kind.CHAT)
        reply.model = model.card.name
        return model

    def _find(self, models: Mapping[str, Any], name: str, kind: Kind) -> Any:
        found = models.get(name) or next(
            (m for key, m in models.items() if key.lower() == name.lower()), None
        )
        if found is None:
            if any(card.name.lower() == name.lower() for card in self._cards()):
                raise BadRequest(
                    f"{name} is not a model for {kind.value}", param="model", code="wrong_model_kind"
                )
            raise self._unknown(name)
        return found

    def _unknown(self, name: str) -> ModelNotFound:
        known = ", ".join(card.name for card in self._cards())
        return ModelNotFound(f"the model '{name}' does not exist here; there are: {known}", param="model")
