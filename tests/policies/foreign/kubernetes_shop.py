"""A shop on Kubernetes, as people write it at first."""

from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta


def careless() -> None:
    """One Deployment with a sidecar that prepares, and a Service."""
    labels = {"app": "shop"}
    apps.Deployment(
        "shop",
        metadata=meta.ObjectMetaArgs(name="shop", labels=labels),
        spec=apps.DeploymentSpecArgs(
            replicas=1,
            selector=meta.LabelSelectorArgs(match_labels=labels),
            template=core.PodTemplateSpecArgs(
                metadata=meta.ObjectMetaArgs(labels=labels),
                spec=core.PodSpecArgs(
                    init_containers=[
                        core.ContainerArgs(
                            name="prepare",
                            image="busybox",
                            security_context=core.SecurityContextArgs(privileged=True),
                        )
                    ],
                    containers=[
                        core.ContainerArgs(
                            name="web",
                            image="nginx:1.27",
                            env=[core.EnvVarArgs(name="SHOP_PASSWORD", value="changeme")],
                        )
                    ],
                ),
            ),
        ),
    )
    core.Service(
        "shop",
        metadata=meta.ObjectMetaArgs(name="shop"),
        spec=core.ServiceSpecArgs(type="LoadBalancer", selector=labels, ports=[core.ServicePortArgs(port=80)]),
    )
