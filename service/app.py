"""Puts the API together: state, layers, routes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from service import docs, openapi
from service.agents import routes as agents
from service.audit import routes as audit
from service.auth import routes as auth
from service.auth.known_keys import KnownKeys
from service.auth.known_tokens import KnownTokens
from service.auth.login_throttle import LoginThrottle
from service.auth.passwords import Passwords
from service.console.routes import ROUTERS as CONSOLE
from service.deadletters import routes as dead_letters
from service.events import routes as events
from service.events.streams import Streams
from service.health import routes as health
from service.health.readiness import ReadinessChecks
from service.platform import failover, metrics, problems, rate_headers
from service.platform.database import create_engine
from service.platform.logging import configure_logging, get_logger
from service.platform.middleware import correlation
from service.platform.middleware.body_limit import BodyLimitMiddleware
from service.platform.middleware.cross_origin import CrossOriginMiddleware
from service.platform.middleware.json_depth import JsonDepthMiddleware
from service.platform.middleware.rate_limit import RateLimitMiddleware
from service.platform.middleware.request_context import RequestContextMiddleware
from service.platform.middleware.security_headers import SecurityHeadersMiddleware
from service.platform.middleware.trusted_hosts import TrustedHostsMiddleware
from service.platform.middleware.unhandled import UnhandledErrorMiddleware
from service.platform.settings import Settings, load_settings
from service.platform.short_way import ShortWay
from service.platform.sliding_window import SlidingWindow
from service.platform.wakeup import OutboxWakeup
from service.runs import again_routes as again
from service.runs import control, execute
from service.runs import log_routes as logs
from service.runs import routes as runs
from service.runs.acceptor import Acceptor
from service.runs.backlog import Backlog
from service.runs.idempotency import REPEATED
from service.runs.reader import Reader
from service.schedules import routes as schedules
from service.state import ServiceState
from service.webhooks import routes as webhooks
from service.workflows import limits_routes as limits
from service.workflows import routes as workflows
from service.workflows.current import CurrentVersions

log = get_logger(__name__)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    metrics.forget_dead_processes()
    engine = create_engine(settings, application="workflow-api", processes=settings.api_workers)
    wakeup = OutboxWakeup(engine)
    wakeup.start()
    patience = failover.Patience(failover.PATIENCE_SECONDS)
    limit, window = settings.rate_limit_requests, settings.rate_limit_window
    app.state.service = ServiceState(
        settings,
        engine,
        wakeup,
        Passwords(),
        patience,
        LoginThrottle(),
        KnownTokens(settings),
        KnownKeys(),
        callers=SlidingWindow("caller", limit, window) if limit > 0 else None,
        acceptor=Acceptor(engine, patience, topic=settings.kafka_execution_topic, audit=settings.enable_audit_logging),
        backlog=Backlog(engine, settings.run_backlog_limit),
        reader=Reader(engine, patience),
        versions=CurrentVersions(engine),
        streams=Streams(engine),
    )
    app.state.readiness = ReadinessChecks(settings, engine)
    if not settings.authentication_enabled:
        log.warning("Authentication is off because JWT_SECRET is not set: every caller may do everything")
    log.info("The API has started", version=settings.api_version)
    try:
        yield
    finally:
        await app.state.service.streams.stop()
        await app.state.service.acceptor.stop()
        await app.state.service.reader.stop()
        await app.state.service.backlog.stop()
        await wakeup.stop()
        await engine.dispose()
        log.info("The API has stopped")


def _add_layers(app: FastAPI, settings: Settings) -> None:
    """The first is the innermost. Only pure ASGI ones: others cancel a handler when its client goes away, in the
    middle of a transaction, and lose the connection."""
    app.add_middleware(JsonDepthMiddleware)
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(RateLimitMiddleware, requests=settings.rate_limit_requests, window=settings.rate_limit_window)
    app.add_middleware(UnhandledErrorMiddleware)
    app.add_middleware(
        CrossOriginMiddleware,
        allow_origins=settings.cors_origins,
        allow_credentials=settings.cors_allow_credentials,
        allow_methods=settings.cors_allow_methods,
        allow_headers=settings.cors_allow_headers,
        expose_headers=[correlation.HEADER, "Location", "Retry-After", REPEATED, *rate_headers.NAMES],
    )
    app.add_middleware(TrustedHostsMiddleware, hosts=settings.trusted_hosts)
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(RequestContextMiddleware)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The API as an ASGI application; without settings, with those of the environment (and logs set up by them)."""
    if settings is None:
        settings = load_settings()
        configure_logging(settings)
    app = FastAPI(
        title=settings.api_title,
        version=settings.api_version,
        description=settings.api_description,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    problems.install(app)
    _add_layers(app, settings)
    # The first is found first: what is asked for most.
    for part in (
        execute,
        runs,
        control,
        again,
        logs,
        events,
        workflows,
        limits,
        agents,
        schedules,
        webhooks,
        auth,
        audit,
        dead_letters,
    ):
        app.include_router(part.router, prefix=settings.api_prefix)
    for pages in CONSOLE:
        app.include_router(pages)
    app.include_router(health.router)
    app.include_router(docs.router)
    app.router.middleware_stack = ShortWay(app, settings.api_prefix)
    described: dict[str, Any] = {}

    def describe_once() -> dict[str, Any]:
        if not described:
            described.update(openapi.describe(app, app.state.settings))
        return described

    app.openapi = describe_once  # type: ignore[method-assign]
    return app
