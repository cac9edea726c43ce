"""The resources that rules look at, by the provider's tokens; a test holds them to the providers' classes.

They are written down because importing the Kubernetes SDK takes longer than all rules together.
"""

CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"
REMOTE_IMAGE = "docker:index/remoteImage:RemoteImage"

KUBERNETES = "kubernetes:"
"""With this begins the token of every object of a cluster; kinds are told by their last word, whatever the version."""

DYNAMIC = "pulumi-python:dynamic:Resource"

POD_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod")
OTHER_KINDS = (
    "Service",
    "Ingress",
    "NetworkPolicy",
    "Secret",
    "ConfigMap",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "Namespace",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "PersistentVolumeClaim",
    "ResourceQuota",
    "LimitRange",
)
