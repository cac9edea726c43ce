"""What the deployed images are, and as whom they run."""

from tests.policies.changes import ABSENT, UNKNOWN, Case, also, put

POD = "spec.template.spec"
IMAGE = f"{POD}.containers[0].image"
INITS = f"{POD}.initContainers"
DOCKER = "docker:index/container:Container"
REMOTE = "docker:index/remoteImage:RemoteImage"
PINNED = "@sha256:" + "1" * 64


def first(**more: object) -> list[dict[str, object]]:
    return [{"name": "first", "image": f"registry.internal/i{PINNED}", **more}]


CASES = [
    Case(
        "containers_name_their_image_by_digest", put("Deployment", "api", IMAGE, "registry.internal/a/workflow-api:1.2")
    ),
    Case(
        "containers_name_their_image_by_digest",
        put("Deployment", "api", INITS, first(image="registry.internal/i:1")),
        path="initContainers[0]",
        why="init",
    ),
    Case(
        "containers_name_their_image_by_digest", also(DOCKER, "web", {"image": "registry.internal/web:1"}), why="docker"
    ),
    Case("containers_name_their_image_by_digest", put("Deployment", "api", IMAGE, UNKNOWN), "not evaluated"),
    Case("images_are_pulled_by_digest", also(REMOTE, "web", {"name": "registry.internal/web:1"})),
    Case("images_are_pulled_by_digest", also(REMOTE, "web", {"name": UNKNOWN}), "not evaluated"),
    Case("no_image_is_the_latest", put("Deployment", "api", IMAGE, f"registry.internal/workflow-api:latest{PINNED}")),
    Case(
        "no_image_is_the_latest", put("Deployment", "api", IMAGE, "registry.internal:5000/workflow-api"), why="no tag"
    ),
    Case(
        "no_image_is_the_latest",
        put("Job", "migrations", INITS, first(image="registry.internal/i:latest")),
        path="initContainers[0]",
        why="init",
    ),
    Case("no_image_is_the_latest", also(DOCKER, "web", {"image": "web"}), why="docker"),
    Case("no_image_is_the_latest", put("Deployment", "api", IMAGE, UNKNOWN), "not evaluated"),
    Case("images_name_their_registry", put("Deployment", "relay", IMAGE, f"workflow/workflow-api{PINNED}")),
    Case("images_name_their_registry", put("Deployment", "relay", INITS, first(image=f"busybox{PINNED}")), why="init"),
    Case("images_name_their_registry", also(DOCKER, "web", {"image": "team/web:1"}), why="docker"),
    Case("images_name_their_registry", put("Deployment", "relay", IMAGE, UNKNOWN), "not evaluated"),
    Case(
        "machines_may_pull_their_images",
        put("Deployment", "edge", f"{POD}.containers[0].imagePullPolicy", "Never"),
    ),
    Case(
        "machines_may_pull_their_images", put("Deployment", "edge", INITS, first(imagePullPolicy="Never")), why="init"
    ),
    Case(
        "machines_may_pull_their_images",
        put("Deployment", "edge", f"{POD}.containers[0].imagePullPolicy", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "our_images_come_from_one_registry",
        put("Deployment", "edge", IMAGE, f"registry.internal/workflow-edge{PINNED}"),
        path="Deployment edge",
    ),
    Case("our_images_come_from_one_registry", put("Deployment", "edge", IMAGE, UNKNOWN), "not evaluated"),
    Case(
        "containers_run_as_an_unprivileged_user",
        put("Deployment", "api", f"{POD}.securityContext.runAsUser", 0),
    ),
    Case(
        "containers_run_as_an_unprivileged_user",
        put("Deployment", "api", INITS, first(securityContext={"runAsUser": 0})),
        path="initContainers[0]",
        why="init",
    ),
    Case(
        "containers_run_as_an_unprivileged_user",
        put("Deployment", "api", f"{POD}.securityContext", {}),
        why="unset",
    ),
    Case("containers_run_as_an_unprivileged_user", put("Container", "api", "user", "root:0"), environment="dev"),
    Case("containers_run_as_an_unprivileged_user", put("Container", "api", "user", "0"), environment="dev", why="0"),
    Case(
        "containers_run_as_an_unprivileged_user", put("Container", "api", "user", ABSENT), environment="dev", why="no"
    ),
    Case(
        "containers_run_as_an_unprivileged_user",
        put("Container", "api", "user", UNKNOWN),
        "not evaluated",
        environment="dev",
    ),
    Case("containers_run_as_an_unprivileged_group", put("Deployment", "api", f"{POD}.securityContext.runAsGroup", 0)),
    Case(
        "containers_run_as_an_unprivileged_group",
        put("Deployment", "api", INITS, first(securityContext={"runAsGroup": 0})),
        path="initContainers[0]",
        why="init",
    ),
    Case("containers_run_as_an_unprivileged_group", put("Container", "api", "user", "10001:0"), environment="dev"),
    Case(
        "containers_run_as_an_unprivileged_group",
        put("Deployment", "api", f"{POD}.securityContext.runAsGroup", UNKNOWN),
        "not evaluated",
    ),
]
