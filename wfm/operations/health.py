"""Whether the service is there."""

from wfm.calls import Call, operation
from wfm.models import LivenessAnswer, ReadinessAnswer


@operation("GET /health")
def alive() -> Call[LivenessAnswer]:
    """Whether the process lives."""
    return Call(LivenessAnswer, anonymous=True)


@operation("GET /health/ready")
def ready() -> Call[ReadinessAnswer]:
    """Whether requests can be served; if not, what is away."""
    return Call(ReadinessAnswer, anonymous=True, answers=frozenset({503}))


class HealthOperations:
    """Whether the service is there."""

    alive = alive
    ready = ready
