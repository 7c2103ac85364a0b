"""Counters and latencies in Prometheus form."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from annotation.backend.scene_cache import SceneCache

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80)


class Metrics:
    """What a backend counts; one registry for each, so that several can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "declutter_requests", "Requests answered", ["path", "status"], registry=self.registry
        )
        self.clicks = Counter("declutter_clicks", "Smart clicks", ["mode", "sign"], registry=self.registry)
        self.regions = Counter("declutter_regions", "Regions given to annotators", registry=self.registry)
        self.left_out = Counter(
            "declutter_regions_left_out", "Regions not given", ["reason"], registry=self.registry
        )
        self.empty = Counter(
            "declutter_empty_answers", "Clicks that were answered empty", ["reason"], registry=self.registry
        )
        self.stages = Histogram(
            "declutter_stage_seconds",
            "Seconds by stage: fetch, open, encode, select, draw, answer",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.events = Counter("declutter_events", "Webhook events", ["action"], registry=self.registry)

    def watch(self, cache: SceneCache, waiting: Callable[[], int], ready: Callable[[], bool]) -> None:
        """Show a cache, the length of the queue of model calls, and whether the model is ready."""
        counts = cache.counts
        for name, text, read in (
            ("declutter_scene_cache_bytes", "Bytes of encoded photos in memory", lambda: cache.nbytes),
            ("declutter_scene_cache_scenes", "Encoded photos in memory", lambda: len(cache)),
            ("declutter_scene_cache_hits", "Scenes found in memory", lambda: counts.hits),
            ("declutter_scene_cache_disk_hits", "Scenes found on disk", lambda: counts.shelf_hits),
            ("declutter_scene_cache_misses", "Scenes encoded", lambda: counts.misses),
            ("declutter_scene_cache_joined", "Requests that waited for a scene", lambda: counts.joined),
            ("declutter_scene_cache_evicted", "Scenes thrown out", lambda: counts.evicted),
            ("declutter_model_calls_waiting", "Model calls in the queue", waiting),
            ("declutter_ready", "1 when the model is loaded", lambda: int(ready())),
        ):
            Gauge(name, text, registry=self.registry).set_function(read)

    def page(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)
