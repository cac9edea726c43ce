"""Liveness, readiness and metrics; outside of the API's prefix and open to everybody who reaches the port."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field

from service.auth import activity
from service.auth.access import PUBLIC, GuardedRouter
from service.health.readiness import Connection
from service.platform import metrics
from service.platform.database import measure_pool
from service.platform.problems import NO_PROBLEMS, ProblemError

router = GuardedRouter(tags=["health"])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class LivenessAnswer(BaseModel):
    """The process runs and answers."""

    status: Literal["healthy"] = "healthy"
    timestamp: str = Field(default_factory=_now, examples=["2024-01-15T10:30:00Z"])


class Checks(BaseModel):
    """The state of each dependency."""

    database: Connection
    kafka: Connection


class ReadinessAnswer(BaseModel):
    """Whether requests can be served."""

    status: Literal["ready", "not_ready"]
    checks: Checks
    timestamp: str = Field(default_factory=_now, examples=["2024-01-15T10:30:00Z"])


@router.get("/health", dependencies=[PUBLIC], responses=NO_PROBLEMS)
async def liveness() -> LivenessAnswer:
    """Tell that the process lives; dependencies do not matter here."""
    return LivenessAnswer()


@router.get("/health/ready", dependencies=[PUBLIC], responses={503: {"model": ReadinessAnswer}})
async def readiness(request: Request, response: Response) -> ReadinessAnswer:
    """Tell whether requests can be served; 503 names the dependency that is away."""
    found = await request.app.state.readiness.check()
    response.status_code = 200 if found.ready else 503
    return ReadinessAnswer(
        status="ready" if found.ready else "not_ready", checks=Checks(database=found.database, kafka=found.kafka)
    )


@router.get("/metrics", dependencies=[PUBLIC], responses=NO_PROBLEMS, include_in_schema=False)
async def show_metrics(request: Request) -> Response:
    """The metrics of all worker processes in Prometheus' text format."""
    if not request.app.state.service.settings.enable_metrics:
        raise ProblemError(404, "not-found", "Metrics are switched off here.")
    activity.refresh()
    measure_pool(request.app.state.service.engine)
    return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)
