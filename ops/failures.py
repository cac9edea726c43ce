"""What helps against a failed operation, told from the provider's own words."""

import re

IN_GENERAL = "mend that and run the command again; what is made is kept"

_MENDS = (
    (
        r"^policy [a-z0-9-]+: ",
        "mend what it names; all of it: ./deploy-api.sh policy STACK; why: ./deploy-api.sh policy explain NAME",
    ),
    (
        r"ImagePullBackOff|ErrImagePull|InvalidImageName|failed to pull",
        "see that the cluster's nodes reach the registry and that it has the image (./deploy-api.sh push); "
        "where it wants a login, name a pull secret: kubernetes.imagePullSecret",
    ),
    (
        r"exceeded quota|must specify limits",
        "raise kubernetes.quota in the stack's description, or make the parts smaller",
    ),
    (
        r"Unschedulable|Insufficient (cpu|memory)|didn't match pod (anti-)?affinity|topology spread",
        "add nodes, make the parts smaller, or let replicas share a node: kubernetes.spread: preferred",
    ),
    (
        r"violates PodSecurity",
        "that pod asks for more than the namespace allows; nothing of this project does: see what was changed",
    ),
    (
        r"CrashLoopBackOff|exit code [1-9]",
        "see why it ends: ./deploy-api.sh logs; then run the command again",
    ),
)


def mend_of(told: str) -> str:
    """One line for the operator. What is not known gets the general one."""
    return next((mend for pattern, mend in _MENDS if re.search(pattern, told, re.IGNORECASE)), IN_GENERAL)
