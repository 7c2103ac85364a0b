"""The HTTP face of the backend: every address that Label Studio asks."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from annotation.backend.addresses import AddressBook
from annotation.backend.answering import ClickAnswerer, cached_config
from annotation.backend.auth import REQUEST_ID, BodyTooLarge, Gate
from annotation.backend.batches import BatchAnswerer, Deliver
from annotation.backend.disk_cache import DiskCache
from annotation.backend.fetching import Limits, PhotoFetcher
from annotation.backend.metrics import CONTENT_TYPE, Metrics
from annotation.backend.model import ModelHolder, NotReadyError
from annotation.backend.model_worker import ModelWorker
from annotation.backend.photos import PhotoOpener
from annotation.backend.scene_cache import SceneCache
from annotation.backend.settings import MEGABYTE, BackendSettings
from annotation.backend.tokens import ApiKey
from annotation.backend.training import TrainingRuns
from annotation.backend.webhooks import AnnotationStore
from annotation.label_config import check_label_config
from annotation.schemas import (
    Prediction,
    PredictRequest,
    PredictResponse,
    SetupRequest,
    SetupResponse,
    WebhookRequest,
)
from toolkit.errors import InputError

logger = logging.getLogger(__name__)

MOST_WAITING = 128  # predictions under way at once; more wait their turn
MOST_READING = 2  # requests parsed at once: more threads would only keep each other from running

NO_TRAINING = "this backend was started without a place to train in, or serves a system that learns elsewhere"

Body = TypeVar("Body", bound=BaseModel)


class Backend:
    """The parts of a backend, wired together.

    Args:
        settings: how it runs.
        model: what it serves; loading starts with the application.
        training: how to train on new annotations; None refuses to.
        deliver: stores late pre-labels in Label Studio.
    """

    def __init__(
        self,
        settings: BackendSettings,
        model: ModelHolder,
        training: TrainingRuns | None = None,
        deliver: Deliver | None = None,
    ) -> None:
        self.settings, self.model, self.training = settings, model, training
        self.metrics = Metrics()
        self.worker = ModelWorker()
        self.limiter = CapacityLimiter(MOST_WAITING)
        self.readers = CapacityLimiter(MOST_READING)
        self.cache = SceneCache(settings.cache_mb * MEGABYTE, _LateShelf(settings, model))
        url = settings.label_studio_url
        key = ApiKey(url, settings.api_key) if url and settings.api_key else None
        limits = Limits(settings.max_image_mb * MEGABYTE, settings.fetch_seconds, settings.max_redirects)
        book = AddressBook(url, settings.allowed_hosts, settings.local_roots)
        self.fetcher = PhotoFetcher(book, key, limits)
        photos = PhotoOpener(self.fetcher, self.worker, self.cache, self.metrics, settings.max_pixels)
        self.clicks = ClickAnswerer(settings, photos, self.metrics)
        self.batches = BatchAnswerer(settings, photos, deliver)
        self.store = AnnotationStore(settings.state_dir / "annotations" if settings.state_dir else None)
        self.metrics.watch(self.cache, lambda: self.worker.waiting, lambda: self.model.state == "ready")

    def close(self) -> None:
        """Stop threads and connections."""
        self.batches.close()
        self.worker.close()
        self.fetcher.close()

    def predict(self, request: PredictRequest, request_id: str) -> PredictResponse:
        """Answer `/predict`; a failure is logged and answered empty, so that no click is left hanging."""
        try:
            return self._predict(request)
        except (InputError, NotReadyError) as error:
            reason = "refused" if isinstance(error, InputError) else "not-ready"
            logger.warning("%s: no answer: %s", request_id, error)
        except TimeoutError:
            reason = "too-slow"
            logger.warning("%s: no answer within %g s", request_id, self.settings.answer_seconds)
        except Exception:
            reason = "failed"
            logger.exception("%s: the prediction failed", request_id)
        self.metrics.empty.labels(reason).inc()
        if request.context is None:
            return PredictResponse(results=[[] for _ in request.tasks])
        return PredictResponse(results=[Prediction(model_version=self.model.version)])

    def _predict(self, request: PredictRequest) -> PredictResponse:
        served = self.model.get(self.settings.answer_seconds)
        if request.context is not None:
            with self.metrics.stages.labels("answer").time():
                return PredictResponse(results=[self.clicks.answer(request, served)])
        if len(request.tasks) == 1:
            return PredictResponse(results=[self.batches.open_ahead(request, served)])
        answers = self.batches.answer(request, served)
        return PredictResponse(results=[[*one] for one in answers])


class _LateShelf:
    """The disk cache of the system that is served at the moment; nothing before one is."""

    def __init__(self, settings: BackendSettings, model: ModelHolder) -> None:
        self._settings, self._model = settings, model

    def _shelf(self) -> DiskCache | None:
        if self._settings.disk_cache_dir is None or self._model.state != "ready":
            return None
        budget = self._settings.disk_cache_mb * MEGABYTE
        return DiskCache(self._settings.disk_cache_dir, budget, self._model.get().system)

    def take(self, key: str) -> Any | None:
        """The scene of `key`, None if it is not there."""
        shelf = self._shelf()
        return shelf.take(key) if shelf else None

    def put(self, key: str, scene: Any) -> None:
        """Keep the scene of `key`."""
        shelf = self._shelf()
        if shelf:
            shelf.put(key, scene)


def create_app(backend: Backend) -> FastAPI:
    """The application around a backend; loading the model starts with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        backend.model.start()
        yield
        await run_in_threadpool(backend.close)

    app = FastAPI(title="Declutter", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.backend = backend
    settings = backend.settings
    app.add_middleware(
        Gate,  # type: ignore[arg-type]
        metrics=backend.metrics,
        username=settings.username,
        password=settings.password,
        host_names=settings.host_names,
        max_body=settings.max_body_mb * MEGABYTE,
    )
    _add_label_studio_routes(app, backend)
    _add_own_routes(app, backend)
    return app


def _add_label_studio_routes(app: FastAPI, backend: Backend) -> None:
    @app.get("/")
    @app.get("/health")
    async def health() -> Response:
        model = backend.model
        body = {
            "status": "UP" if model.state != "failing" else "DOWN",
            "state": model.state,
            "model_version": model.version,
        }
        if model.problem:
            body["problem"] = model.problem
        return JSONResponse(body, 503 if model.state == "failing" else 200)

    @app.post("/setup")
    async def setup(request: Request) -> SetupResponse:
        asked = await _read(request, SetupRequest)
        problems = _problems(asked.label_config)
        if problems:
            logger.warning("project %s: %s", asked.project, "; ".join(problems))
        return SetupResponse(model_version=backend.model.version)

    @app.post("/validate")
    async def validate(request: Request) -> dict[str, Any]:
        asked = await _read(request, _Config)
        problems = _problems(asked.config)
        return {"valid": not problems, "problems": problems}

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        asked = await _read(request, PredictRequest, backend.readers)
        request_id = request.scope["state"][REQUEST_ID]

        def answer() -> bytes:
            return backend.predict(asked, request_id).model_dump_json().encode()

        # Predictions wait for the model on threads of their own, so that health is answered at once
        # meanwhile.
        body = await to_thread.run_sync(answer, limiter=backend.limiter)
        return Response(body, media_type="application/json")

    @app.get("/versions")
    async def versions() -> dict[str, Any]:
        return {"versions": [backend.model.version], "message": backend.model.state}

    @app.post("/webhook")
    async def webhook(request: Request) -> Response:
        event = await _read(request, WebhookRequest)
        backend.metrics.events.labels(event.action if event.action in EVENTS else "other").inc()
        if event.action == "START_TRAINING":
            return await run_in_threadpool(_start_training, backend, (event.project or {}).get("id"))
        stored = await run_in_threadpool(backend.store.take, event)
        return JSONResponse({"stored": stored})

    @app.post("/train")
    async def train(request: Request) -> Response:
        asked = await _read(request, _Train)
        return await run_in_threadpool(_start_training, backend, (asked.project or "").partition(".")[0])


def _add_own_routes(app: FastAPI, backend: Backend) -> None:
    @app.get("/metrics")
    def metrics() -> Response:
        return Response(backend.metrics.page(), media_type=CONTENT_TYPE)

    @app.get("/prelabel")
    def prelabel() -> list[dict[str, Any]]:
        return backend.batches.reports()

    @app.get("/training")
    def training() -> list[dict[str, Any]]:
        return backend.training.reports() if backend.training else []


EVENTS = frozenset(
    (
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATIONS_CREATED",
        "ANNOTATIONS_DELETED",
        "PROJECT_CREATED",
        "PROJECT_DELETED",
        "PROJECT_UPDATED",
        "START_TRAINING",
        "TASKS_CREATED",
        "TASKS_DELETED",
    )
)


class _Config(BaseModel):
    config: str


class _Train(BaseModel):
    project: str | None = None


def _problems(config: str) -> list[str]:
    try:
        return check_label_config(cached_config(config))
    except InputError as error:
        return [str(error)]


def _start_training(backend: Backend, project: object) -> Response:
    if backend.training is None:
        return JSONResponse({"detail": NO_TRAINING}, 409)
    try:
        run = backend.training.start(str(project), backend.store)
    except InputError as error:
        logger.warning("training was not started: %s", error)
        return JSONResponse({"detail": str(error)}, 409)
    return JSONResponse({"job": run, "status": "started"}, 201)


async def _read(request: Request, kind: type[Body], limiter: CapacityLimiter | None = None) -> Body:
    """The body of a request as a model; anything else is told what is wrong with it."""
    try:
        body = await request.body()
    except BodyTooLarge:
        raise HTTPException(413, "the body is too large") from None
    try:
        return await to_thread.run_sync(kind.model_validate_json, body, limiter=limiter)
    except ValidationError as error:
        problems = [
            {"field": ".".join(str(part) for part in one["loc"]), "problem": one["msg"]}
            for one in error.errors(include_url=False, include_context=False, include_input=False)[:20]
        ]
        raise HTTPException(422, {"message": "the request makes no sense", "problems": problems}) from None
