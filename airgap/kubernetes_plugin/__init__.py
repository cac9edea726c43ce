"""`pulumi-resource-kubernetes` 4.34.2 served from Python: any kind or custom resource, by server-side apply."""

VERSION = "4.34.2"
