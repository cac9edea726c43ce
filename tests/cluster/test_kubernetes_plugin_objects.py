"""`pulumi up` through the Kubernetes plugin on the live cluster: objects that need no pods."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.airgap.project import HIDDEN, Project, lay_pulumi_home
from tests.cluster.kubernetes_project import Kubectl, kubectl_of_the_cluster, project_in, set_program

pytestmark = pytest.mark.ring("cluster")

PROGRAM = """
space = k8s.core.v1.Namespace("space", metadata={"name": suffix}, opts=opts)
inside = {"namespace": space.metadata.name}
notes = k8s.core.v1.ConfigMap("notes", metadata={**inside, "name": "notes"}, data={"motto": "small"}, opts=opts)
frozen = k8s.core.v1.ConfigMap("frozen", metadata=inside, data={"v": "1"}, immutable=True, opts=opts)
key = k8s.core.v1.Secret(
    "key", metadata={**inside, "name": "key"}, string_data={"token": config.require_secret("token")}, opts=opts
)
open_key = k8s.core.v1.Secret("open", metadata={**inside, "name": "open"}, data={"token": "PLAIN"}, opts=opts)
role = k8s.rbac.v1.Role(
    "role", metadata={**inside, "name": "reader"}, opts=opts,
    rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
)
kind = k8s.apiextensions.v1.CustomResourceDefinition(
    "kind",
    metadata={"name": f"flowers.{suffix}.io"},
    spec={
        "group": f"{suffix}.io", "scope": "Namespaced", "names": {"plural": "flowers", "kind": "Flower"},
        "versions": [{
            "name": "v1", "served": True, "storage": True,
            "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }},
        }],
    },
    opts=opts,
)
rose = k8s.apiextensions.CustomResource(
    "rose", api_version=f"{suffix}.io/v1", kind="Flower", metadata={**inside, "name": "rose"},
    spec={"colour": "red", "thorns": [1, 2]}, opts=pulumi.ResourceOptions(provider=provider, depends_on=[kind]),
)
service = k8s.core.v1.Service(
    "service", metadata={**inside, "name": "headless"},
    spec={"clusterIP": "None", "selector": {"a": "b"}, "ports": [{"port": 80}]}, opts=opts,
)
pulumi.export("frozen", frozen.metadata.name)
pulumi.export("token", key.data["token"])
pulumi.export("rose", rose.metadata["uid"])
""".replace("PLAIN", base64.b64encode(HIDDEN.encode()).decode())
# stack, provider, and the ten objects
TOTAL = 11


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_pulumi_home(tmp_path_factory.mktemp("pulumi-home"))


@pytest.fixture(scope="module")
def kubectl(cluster: Any) -> Kubectl:
    return kubectl_of_the_cluster()


@pytest.fixture(scope="module")
def project(kubectl: Kubectl, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A deployed stack; removed at the end."""
    with project_in(kubectl, tmp_path_factory.mktemp("objects") / "project", home, PROGRAM) as made:
        preview = made.pulumi("preview", "--stack", "dev")
        assert f"{TOTAL} to create" in preview
        assert made.suffix not in kubectl.names("namespace"), "a preview makes nothing"
        output = made.up()
        assert f"{TOTAL} created" in output
        assert HIDDEN not in output
        yield made


def test_the_objects_are_there_and_tell_their_outputs(project: Project, kubectl: Kubectl) -> None:
    outputs = project.outputs()
    assert kubectl.get("configmap", outputs["frozen"], project.suffix)["data"] == {"v": "1"}
    rose = kubectl.get(f"flowers.{project.suffix}.io", "rose", project.suffix)
    assert rose["spec"] == {"colour": "red", "thorns": [1, 2]}
    assert rose["metadata"]["uid"] == outputs["rose"]
    token = kubectl.get("secret", "key", project.suffix)["data"]["token"]
    assert base64.b64decode(token).decode() == HIDDEN


def test_a_second_up_changes_nothing(project: Project) -> None:
    assert f"{TOTAL} unchanged" in project.up()


def test_a_refresh_right_after_up_sees_no_change(project: Project) -> None:
    output = project.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "dev")
    assert f"{TOTAL} unchanged" in output


def test_no_secret_is_in_the_state_in_plain(project: Project) -> None:
    text = json.dumps(project.state())
    assert HIDDEN not in text
    assert base64.b64encode(HIDDEN.encode()).decode() not in text
    assert project.outputs()["token"] == "[secret]"


def test_drift_is_seen_by_a_refresh_and_mended(project: Project, kubectl: Kubectl) -> None:
    space = project.suffix
    kubectl("patch", "configmap", "notes", "-n", space, "--patch", '{"data": {"motto": "big", "theirs": "x"}}')
    kubectl("patch", "role", "reader", "-n", space, "--type=json", "--patch",
            '[{"op": "add", "path": "/rules/0/verbs/-", "value": "delete"}]')  # fmt: skip
    kubectl(
        "patch", f"flowers.{space}.io", "rose", "-n", space, "--type=merge", "--patch", '{"spec": {"colour": "blue"}}'
    )
    assert "3 to update" in project.pulumi("preview", "--refresh", "--stack", "dev")
    assert "3 updated" in project.up("--refresh")
    assert kubectl.get("configmap", "notes", space)["data"] == {"motto": "small", "theirs": "x"}
    assert kubectl.get("role", "reader", space)["rules"][0]["verbs"] == ["get"]
    assert kubectl.get(f"flowers.{space}.io", "rose", space)["spec"]["colour"] == "red"
    assert f"{TOTAL} unchanged" in project.up("--refresh")


def test_drift_of_a_secret_is_mended_and_never_shown(project: Project, kubectl: Kubectl) -> None:
    kubectl("patch", "secret", "key", "-n", project.suffix, "--patch", '{"stringData": {"token": "someone-elses"}}')
    output = project.up("--refresh", "--diff")
    assert "1 updated" in output
    assert HIDDEN not in output
    assert "someone-elses" not in output
    token = kubectl.get("secret", "key", project.suffix)["data"]["token"]
    assert base64.b64decode(token).decode() == HIDDEN


def test_an_object_removed_by_hand_is_made_again(project: Project, kubectl: Kubectl) -> None:
    kubectl("delete", "configmap", "notes", "-n", project.suffix)
    assert "1 created" in project.up("--refresh")
    assert kubectl.get("configmap", "notes", project.suffix)["data"] == {"motto": "small"}


def test_a_change_is_made_in_place_and_an_immutable_one_by_a_new_object(project: Project, kubectl: Kubectl) -> None:
    before = project.outputs()["frozen"]
    set_program(project, PROGRAM.replace('"v": "1"', '"v": "2"').replace('"motto": "small"', '"motto": "fine"'))
    try:
        output = project.up()
    finally:
        set_program(project, PROGRAM)
    assert "1 updated" in output
    assert "1 replaced" in output or "+-1" in output
    after = project.outputs()["frozen"]
    assert after != before
    assert before not in kubectl.names("configmap", project.suffix)
    assert kubectl.get("configmap", after, project.suffix)["data"] == {"v": "2"}
    project.up()


def test_a_key_that_is_taken_out_of_a_secret_is_taken_out_of_the_cluster(project: Project, kubectl: Kubectl) -> None:
    set_program(project, PROGRAM.replace('"token": config', '"other": config'))
    try:
        # The program's own export of the token has to go with it.
        text = (project.folder / "__main__.py").read_text().replace('key.data["token"]', '"gone"')
        (project.folder / "__main__.py").write_text(text)
        project.up()
    finally:
        set_program(project, PROGRAM)
    assert set(kubectl.get("secret", "key", project.suffix)["data"]) == {"other"}
    project.up()


def test_a_mistyped_field_stops_the_preview_by_name(project: Project) -> None:
    wrong = PROGRAM + (
        "k8s.apiextensions.CustomResource('wrong', api_version='v1', kind='ConfigMap',"
        " metadata={'name': 'wrong', 'namespace': suffix}, spec={'a': 'b'}, opts=opts)\n"
    )
    set_program(project, wrong)
    try:
        output = project.pulumi("preview", "--stack", "dev", fails=True)
    finally:
        set_program(project, PROGRAM)
    assert ".spec: field not declared in schema" in output


def test_an_object_that_exists_already_is_refused_before_anything_is_changed(
    project: Project, kubectl: Kubectl
) -> None:
    kubectl("create", "configmap", "theirs", "-n", project.suffix, "--from-literal=a=b")
    taken = PROGRAM + (
        "k8s.core.v1.ConfigMap('taken', metadata={'name': 'theirs', 'namespace': suffix}, data={'a': 'c'}, opts=opts)\n"
    )
    set_program(project, taken)
    try:
        preview = project.pulumi("preview", "--stack", "dev", fails=True)
        output = project.up(fails=True)
    finally:
        set_program(project, PROGRAM)
    said = f"ConfigMap {project.suffix}/theirs exists already and is not in this stack"
    assert said in preview
    assert said in output
    assert kubectl.get("configmap", "theirs", project.suffix)["data"] == {"a": "b"}


def test_a_field_of_another_manager_is_left_to_it_unless_force_is_asked_for(project: Project, kubectl: Kubectl) -> None:
    kubectl("patch", "configmap", "notes", "-n", project.suffix, "--patch", '{"data": {"motto": "big"}}')
    project.pulumi("config", "set", "force", "false")
    try:
        output = project.up("--refresh", fails=True)
    finally:
        project.pulumi("config", "set", "force", "true")
    assert ".data.motto (kubectl-patch)" in output
    assert "pulumi.com/patchForce" in output
    project.up("--refresh")
    assert kubectl.get("configmap", "notes", project.suffix)["data"]["motto"] == "small"


def test_an_existing_object_can_be_imported(project: Project, kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "older", "-n", project.suffix, "--from-literal=a=b")
    imported = PROGRAM + (
        "k8s.core.v1.ConfigMap('older', metadata={'name': 'older', 'namespace': suffix}, data={'a': 'b'},\n"
        "    opts=pulumi.ResourceOptions(provider=provider, import_=f'{suffix}/older', retain_on_delete=True))\n"
    )
    set_program(project, imported)
    try:
        output = project.up()
    finally:
        set_program(project, PROGRAM)
    assert "1 imported" in output
    project.up()
    assert kubectl.get("configmap", "older", project.suffix)["data"] == {"a": "b"}


def test_a_cluster_that_is_away_is_one_line(home: Path, kubectl: Kubectl, tmp_path: Path) -> None:
    away = tmp_path / "away"
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    away.write_text(yaml.safe_dump(config))
    with project_in(kubectl, tmp_path / "project", home, PROGRAM, kubeconfig=str(away)) as made:
        output = made.pulumi("preview", "--stack", "dev", fails=True)
    errors = [line.strip() for line in output.splitlines() if line.strip().startswith("error: ")]
    assert len(errors) == 1, output
    said = (
        "error: the Kubernetes cluster at https://127.0.0.1:1 does not answer (Connection refused); start it, or check"
    )
    assert errors[0].startswith(said)


def test_yaml_is_rendered_without_a_cluster(home: Path, kubectl: Kubectl, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with project_in(kubectl, tmp_path / "project", home, PROGRAM, kubeconfig="none") as made:
        program = (made.folder / "__main__.py").read_text()
        program = program.replace('kubeconfig=config.require("kubeconfig")', f'render_yaml_to_directory="{out}"')
        # What a server gives (a uid, data made of text) is not there when an object is only written down.
        program = program.partition("pulumi.export")[0]
        (made.folder / "__main__.py").write_text(program)
        output = made.up()
        assert "contains a secret value in plaintext" in output
        assert len(list((out / "0-crd").iterdir())) == 1
        assert len(list((out / "1-manifest").iterdir())) == TOTAL - 3
        assert f"{TOTAL} unchanged" in made.up()
        made.pulumi("destroy", "--yes", "--skip-preview", "--stack", "dev")
        assert list((out / "1-manifest").iterdir()) == []


def test_destroy_leaves_nothing(home: Path, kubectl: Kubectl, tmp_path: Path) -> None:
    with project_in(kubectl, tmp_path / "project", home, PROGRAM) as made:
        made.up()
        made.pulumi("destroy", "--yes", "--skip-preview", "--stack", "dev")
        assert made.suffix not in kubectl.names("namespace")
        assert f"flowers.{made.suffix}.io" not in kubectl.names("crd")
