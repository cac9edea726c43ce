"""Objects of a cluster as its API shows them, for the checks of the checks."""

import copy
from typing import Any

SPEC: dict[str, Any] = {
    "serviceAccountName": "api",
    "terminationGracePeriodSeconds": 38,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "containers": [
        {
            "name": "api",
            "image": "localhost:5000/workflow/api@sha256:aaaa",
            "env": [
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "API_PORT", "value": "8000"},
            ],
            "ports": [{"containerPort": 8000, "protocol": "TCP"}],
            "resources": {
                "limits": {"cpu": "1500m", "memory": "320Mi"},
                "requests": {"cpu": "100m", "memory": "320Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "livenessProbe": {
                "httpGet": {"path": "/health", "port": 8000, "scheme": "HTTPS"},
                "initialDelaySeconds": 40,
                "periodSeconds": 30,
                "timeoutSeconds": 10,
                "failureThreshold": 3,
                "successThreshold": 1,
            },
            "readinessProbe": {"httpGet": {"path": "/health/ready", "port": 8000, "scheme": "HTTPS"}},
            "volumeMounts": [
                {"name": "data", "mountPath": "/data"},
                {"name": "files", "mountPath": "/config", "readOnly": True},
            ],
        }
    ],
    "volumes": [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-api-0"}},
        {"name": "files", "projected": {"sources": []}},
    ],
}

POD: dict[str, Any] = {
    "metadata": {"name": "api-0", "namespace": "workflow-t", "labels": {"workflow.part": "api", "workflow.stack": "t"}},
    "spec": SPEC,
    "status": {
        "phase": "Running",
        "podIP": "10.88.0.7",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {
                "name": "api",
                "containerID": "containerd://1111",
                "imageID": "localhost:5000/workflow/api@sha256:aaaa",
                "restartCount": 0,
                "state": {"running": {"startedAt": "2026-11-22T11:00:00Z"}},
                "lastState": {},
            }
        ],
    },
}

CLAIMS: dict[str, Any] = {"data-api-0": {"metadata": {"name": "data-api-0"}, "status": {"phase": "Bound"}}}


def changed(sample: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy in which one place, a path of keys and numbers, has another value."""
    document = copy.deepcopy(sample)
    *way, last = path.split("/")
    place: Any = document
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[int(last) if last.isdigit() else last] = value
    return document
