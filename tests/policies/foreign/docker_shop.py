"""A shop on Docker: a careless one, and the same mended."""

import pulumi
import pulumi_docker as docker


def careless() -> None:
    """A web page and a database as people write them at first."""
    database = docker.Container(
        "shop-db",
        image="postgres:latest",
        name="shop-db",
        envs=["POSTGRES_PASSWORD=postgres"],
        ports=[docker.ContainerPortArgs(internal=5432, external=5432)],
    )
    docker.Container(
        "shop-web",
        image="nginx:1.27",
        name="shop-web",
        privileged=True,
        ports=[docker.ContainerPortArgs(internal=80, external=80)],
        opts=pulumi.ResourceOptions(depends_on=[database]),
    )
