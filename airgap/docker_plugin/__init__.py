"""`pulumi-resource-docker` 5.2.0 served from Python over the Docker SDK: Network, Volume, RemoteImage, Container."""

VERSION = "5.2.0"
