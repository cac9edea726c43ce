"""What can be known to be wrong with a cluster before anything on it is changed."""

import re
from collections.abc import Iterable, Sequence

from ops.context import Context
from ops.errors import OperatorError
from ops.home import Home
from ops.kube import Api, ClusterRefusalError, Thing, connect
from ops.kube_objects import MANAGED_BY, NAMESPACE, NODE, is_ours
from ops.parts import STACK_LABEL
from stacks.model import Stack
from stacks.quantities import quantity
from stacks.sizing import Demand

OLDEST_SERVER = (1, 30)
"""From there on a container's last wish may be a pause, which a rolling update without a failed request needs."""

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
STORAGE_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


def check_cluster(context: Context, stack: Stack, images: bool = True) -> None:
    """Raises OperatorError with the first thing that would make a deployment of this stack fail.

    Without `images` the registry is not asked, because they are yet to be pushed.
    """
    with context.progress.task("Cluster") as report:
        api = connect(context.home, stack.kubernetes.context)
        try:
            report(f"asking {api.server}")
            version = api.get("/version")
            report(f"Kubernetes {version.get('gitVersion')} at {api.server}, context {api.context}")
            refuse_old_server(version)
            refuse_other_cluster(context.home, api, stack)
            refuse_foreign_namespace(api.find(f"{NAMESPACE.path()}/{stack.namespace}"), stack)
            refuse_missing_storage_class(api.items(STORAGE_CLASSES), stack)
            _refuse_small_cluster(api, stack)
        finally:
            api.close()
        if images:
            report("asking the registry for the images")
            refuse_missing_images(stack)


def refuse_old_server(version: Thing) -> None:
    """The cluster's version must be one that has all that is used."""
    major, minor = (int(re.sub(r"\D", "", str(version[key])) or 0) for key in ("major", "minor"))
    if (major, minor) < OLDEST_SERVER:
        oldest = ".".join(map(str, OLDEST_SERVER))
        raise OperatorError(
            f"the cluster runs Kubernetes {major}.{minor}, which is too old", f"upgrade it to {oldest} or newer"
        )


def refuse_foreign_namespace(namespace: Thing | None, stack: Stack) -> None:
    """A namespace that exists must be this stack's."""
    if namespace is None or is_ours(namespace, stack.name):
        return
    labels = namespace["metadata"].get("labels") or {}
    whose = labels.get(STACK_LABEL) or labels.get(MANAGED_BY) or "somebody else"
    raise OperatorError(
        f"namespace {stack.namespace} is there already and belongs to {whose}, not to stack {stack.name}",
        f"give the stack one of its own (kubernetes.namespace in Pulumi.{stack.name}.yaml), or delete that one",
    )


def refuse_missing_storage_class(classes: Sequence[Thing], stack: Stack) -> None:
    """The volumes' class must exist, or one must be the default."""
    names = sorted(str(each["metadata"]["name"]) for each in classes)
    there = f"there are: {', '.join(names)}" if names else "the cluster has none"
    wanted = stack.kubernetes.storage_class
    if wanted is None:
        if not any((each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true" for each in classes):
            raise OperatorError(
                f"the cluster has no default storage class for the volumes of stack {stack.name}; {there}",
                f"name one: kubernetes.storageClass in Pulumi.{stack.name}.yaml",
            )
    elif wanted not in names:
        raise OperatorError(
            f"the cluster has no storage class {wanted}; {there}",
            f"mend kubernetes.storageClass in Pulumi.{stack.name}.yaml",
        )


def _refuse_small_cluster(api: Api, stack: Stack) -> None:
    try:
        nodes = api.items(NODE.path())
    except ClusterRefusalError:
        # A user who may use one namespace only need not see the nodes; then the cluster itself will tell.
        return
    refuse_small_cluster(nodes, stack.demands, stack.name)
    refuse_more_nodes(nodes, stack)


def refuse_small_cluster(nodes: Iterable[Thing], demands: Iterable[Demand], stack: str) -> None:
    """What is set aside for all parts to begin with must fit into the nodes that take pods."""
    usable = [node for node in nodes if _is_usable(node)]
    if not usable:
        raise OperatorError("the cluster has no node that is ready and takes pods", "see kubectl get nodes")
    room = [node["status"]["allocatable"] for node in usable]
    parts = list(demands)
    cpus = sum(each.least * each.resources.requested_cpus for each in parts)
    memory = sum(each.least * each.resources.memory for each in parts)
    pods = sum(each.least for each in parts)
    have = (
        sum(quantity(each["cpu"]) for each in room),
        sum(quantity(each["memory"]) for each in room) / 2**20,
        sum(quantity(each["pods"]) for each in room),
    )
    for what, needed, given, unit in (
        ("processor cores", cpus, have[0], ""),
        ("memory", memory / 1024, have[1] / 1024, "Gi"),
        ("pods", pods, have[2], ""),
    ):
        if needed > given:
            nodes_have = f"its {len(usable)} node{'s have' if len(usable) > 1 else ' has'}"
            raise OperatorError(
                f"the cluster is too small for stack {stack}: it needs {needed:.4g}{unit} of {what}, "
                f"and {nodes_have} {given:.4g}{unit}",
                f"add nodes, or make the parts in Pulumi.{stack}.yaml smaller",
            )


def refuse_more_nodes(nodes: Sequence[Thing], stack: Stack) -> None:
    """What runs on every node must have its place in the namespace's quota."""
    if len(nodes) > stack.kubernetes.nodes:
        raise OperatorError(
            f"the cluster has {len(nodes)} nodes, and stack {stack.name} counts on {stack.kubernetes.nodes} at most",
            f"raise kubernetes.nodes in Pulumi.{stack.name}.yaml, and kubernetes.quota if it is refused then",
        )


def _is_usable(node: Thing) -> bool:
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions") or [])
    taints = {each.get("effect") for each in node["spec"].get("taints") or []}
    return ready and not node["spec"].get("unschedulable") and not taints & {"NoSchedule", "NoExecute"}


def refuse_other_cluster(home: Home, api: Api, stack: Stack) -> None:
    """A stack stays on the cluster it was deployed to; elsewhere its state would be taken for lost and made anew."""
    recorded = home.cluster(stack.name)
    if not recorded.exists():
        return
    identity, _, server = recorded.read_text(encoding="utf-8").strip().partition(" ")
    now = identify(api)
    if now and now != identity:
        raise OperatorError(
            f"stack {stack.name} was deployed to another cluster ({server}) than {api.server}",
            f"name the right context (kubernetes.context in Pulumi.{stack.name}.yaml, or KUBECONFIG); "
            f"if that cluster is gone for good: ./deploy-api.sh destroy {stack.name} --with-data",
        )


def remember_cluster(home: Home, api: Api, stack: str) -> None:
    """Notes which cluster the stack is on. Where the user may not know, nothing is noted."""
    if identity := identify(api):
        recorded = home.cluster(stack)
        recorded.parent.mkdir(mode=0o700, exist_ok=True)
        recorded.write_text(f"{identity} {api.server}\n", encoding="utf-8")


def identify(api: Api) -> str:
    """What no two clusters have in common: the uid of the namespace that each begins with."""
    try:
        found = api.find(f"{NAMESPACE.path()}/kube-system")
    except ClusterRefusalError:
        return ""
    return str(found["metadata"]["uid"]) if found else ""


def refuse_missing_images(stack: Stack) -> None:
    """Every image that the program will name must be in its registry.

    Of those that the description names, only what a registry denies is refused: the cluster may reach and be allowed
    what this machine is not.
    """
    from infra.images import Lookup, image_source
    from infra.targets.docker_images import digest_reference, is_absent, why_unavailable
    from stacks.errors import StackError

    for name, given in sorted(stack.images.items()):
        if is_absent(given):
            raise OperatorError(
                f"image {given} is not in its registry", f"push it, or mend images.{name} in Pulumi.{stack.name}.yaml"
            )

    try:
        source = image_source(stack, Lookup(digest_reference, why_unavailable))
        for name in deployed_images():
            source(name)
    except StackError as error:
        raise OperatorError(error.faults[0], f"./deploy-api.sh push {stack.name}") from error


def deployed_images() -> list[str]:
    """The images of this tree that run on a cluster."""
    from images import catalog

    return [name for name in catalog.names() if catalog.image(name).parent is not None]
