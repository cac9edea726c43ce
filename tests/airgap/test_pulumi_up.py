"""The real Pulumi engine with the language host and the Docker plugin of this tree, on the real Docker engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.airgap.project import HIDDEN, Project, new_project
from tests.airgap.support import IMAGE, clean, names_on_engine

pytestmark = pytest.mark.ring("airgap")

PROGRAM = """
import pulumi
import pulumi_docker as docker

suffix = pulumi.Config().require("suffix")
token = pulumi.Config().require_secret("token")
net = docker.Network("net", name=f"net-{suffix}")
data = docker.Volume("data", name=f"data-{suffix}")
image = docker.RemoteImage("image", name="IMAGE", keep_locally=True)
box = docker.Container(
    "box",
    name=f"box-{suffix}",
    image=image.image_id,
    command=["sh", "-c", "trap 'exit 0' TERM; cat /etc/box/motto; while :; do sleep 0.2; done"],
    envs=[token.apply(lambda value: f"TOKEN={value}"), "PLAIN=1"],
    memory=64,
    uploads=[docker.ContainerUploadArgs(file="/etc/box/motto", content="small is beautiful", permissions="0444")],
    healthcheck=docker.ContainerHealthcheckArgs(
        tests=["CMD", "test", "-s", "/etc/box/motto"], interval="300ms", retries=20
    ),
    networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=net.name, aliases=["box"])],
    volumes=[docker.ContainerVolumeArgs(volume_name=data.name, container_path="/data")],
    wait=True,
)
job = docker.Container(
    "job", name=f"job-{suffix}", image=image.image_id, command=["sh", "-c", "exit 7"], attach=True, must_run=False,
    opts=pulumi.ResourceOptions(depends_on=[box]),
)
pulumi.export("exitCode", job.exit_code)
pulumi.export("address", box.network_datas[0].ip_address)
""".replace("IMAGE", IMAGE)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path, engine: Any) -> Iterator[Project]:
    """A deployed stack; destroyed, and what is left removed, at the end."""
    made = new_project(tmp_path_factory.mktemp("up") / "project", pulumi_home, PROGRAM)
    try:
        preview = made.pulumi("preview", "--stack", "dev")
        assert "6 to create" in preview
        assert names_on_engine(engine, made.suffix) == [], "a preview makes nothing"
        output = made.up()
        assert "6 created" in output
        assert HIDDEN not in output
        yield made
    finally:
        clean(engine, made.suffix)


def test_the_deployed_parts_are_there_and_tell_their_outputs(project: Project, engine: Any) -> None:
    outputs = project.outputs()
    details = engine.inspect_container(f"box-{project.suffix}")
    assert details["State"]["Health"]["Status"] == "healthy"
    assert outputs["address"] == details["NetworkSettings"]["Networks"][f"net-{project.suffix}"]["IPAddress"]
    assert outputs["exitCode"] == 7


def test_a_second_up_changes_nothing(project: Project) -> None:
    assert "6 unchanged" in project.up()


def test_a_refresh_right_after_up_sees_no_change(project: Project) -> None:
    output = project.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "dev")
    assert "6 unchanged" in output


def test_a_preview_with_refresh_ends_without_a_complaint_about_plugins(project: Project) -> None:
    output = project.pulumi("preview", "--refresh", "--diff", "--stack", "dev")
    assert "prematurely" not in output
    assert "6 unchanged" in output


def test_a_secret_is_in_the_container_but_nowhere_in_plain_text(project: Project, engine: Any) -> None:
    assert f"TOKEN={HIDDEN}" in engine.inspect_container(f"box-{project.suffix}")["Config"]["Env"]
    assert HIDDEN not in json.dumps(project.state())
    for file in (project.folder / "state").rglob("*"):
        assert not file.is_file() or HIDDEN.encode() not in file.read_bytes(), f"{file.name} holds the secret"


def test_changes_made_by_hand_are_seen_by_refresh_and_mended_by_up(project: Project, engine: Any) -> None:
    name = f"box-{project.suffix}"
    before = engine.inspect_container(name)["Id"]
    engine.update_container(name, mem_limit=128 * 2**20, memswap_limit=256 * 2**20)
    engine.stop(name, timeout=5)
    seen = project.pulumi("refresh", "--yes", "--skip-preview", "--diff", "--stack", "dev")
    assert "memory : 64 => 128" in seen
    assert "mustRun: true => false" in seen
    assert "1 updated" in project.up()
    details = engine.inspect_container(name)
    assert (details["Id"], details["HostConfig"]["Memory"], details["State"]["Running"]) == (before, 64 * 2**20, True)
    assert "6 unchanged" in project.up()


def test_a_container_removed_by_hand_is_made_again(project: Project, engine: Any) -> None:
    name = f"box-{project.suffix}"
    engine.remove_container(name, force=True)
    output = project.up("--refresh")
    assert "1 created" in output
    assert engine.inspect_container(name)["State"]["Health"]["Status"] == "healthy"


def test_a_mistyped_input_stops_the_deployment_by_name(project: Project) -> None:
    program = project.folder / "__main__.py"
    wrong = "\npulumi.CustomResource('docker:index/network:Network', 'wrong', {'internall': True, 'name': None})\n"
    program.write_text(PROGRAM + wrong)
    try:
        output = project.pulumi("preview", "--stack", "dev", fails=True)
    finally:
        program.write_text(PROGRAM)
    assert "internall is not an input" in output


def test_an_exception_in_the_program_is_shown_with_its_traceback(project: Project) -> None:
    program = project.folder / "__main__.py"
    program.write_text("def broken():\n    raise ValueError('the moon is not full')\n\nbroken()\n")
    try:
        output = project.pulumi("preview", "--stack", "dev", fails=True)
    finally:
        program.write_text(PROGRAM)
    assert "ValueError: the moon is not full" in output
    assert "in broken" in output


def test_a_policy_pack_sees_the_resources_and_can_stop_a_preview(project: Project) -> None:
    pack = project.folder / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 0.0.1\n")
    (pack / "__main__.py").write_text(
        "from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy\n"
        "def limited(args, report):\n"
        "    if args.resource_type == 'docker:index/container:Container' and 'memory' not in args.props:\n"
        "        report(f'{args.name} has no memory limit')\n"
        "rule = ResourceValidationPolicy(name='limited', description='limits', validate=limited,\n"
        "                                enforcement_level=EnforcementLevel.MANDATORY)\n"
        "PolicyPack(name='pack', policies=[rule])\n"
    )
    output = project.pulumi("preview", "--policy-pack", str(pack), "--stack", "dev", fails=True)
    assert "job has no memory limit" in output
    assert "box has no memory limit" not in output


def test_destroy_leaves_nothing(tmp_path: Path, pulumi_home: Path, engine: Any) -> None:
    project = new_project(tmp_path / "project", pulumi_home, PROGRAM)
    try:
        project.up()
        assert names_on_engine(engine, project.suffix)
        project.pulumi("destroy", "--yes", "--skip-preview", "--stack", "dev")
        assert names_on_engine(engine, project.suffix) == []
        assert engine.inspect_image(IMAGE), "an image that is kept locally stays"
    finally:
        clean(engine, project.suffix)
