"""What a deployment shows of the project's own files."""

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, both, env, put

CHECK = "the_api_tells_the_version_of_its_image"
IMAGE = "spec.template.spec.containers[0].image"
TAGGED = "registry.invalid/workflow-api:9.8.7-0123456789ab"

CASES = [
    Case(CHECK, env("api", "API_VERSION", "9.8.7"), environment="dev", path="env"),
    Case(CHECK, env("api", "API_VERSION", ABSENT), environment="dev", why="absent"),
    Case(CHECK, put("Deployment", "api", IMAGE, TAGGED), path="env"),
    Case(
        CHECK,
        both(put("Container", "api", "image", UNKNOWN), put("RemoteImage", "image-workflow-api", "name", UNKNOWN)),
        "not evaluated",
        environment="dev",
    ),
    Case(CHECK, env("api", "API_VERSION", UNKNOWN), "not evaluated", environment="dev", why="setting"),
]
