"""Which cluster is used, and what is said about one that does not answer."""

from pathlib import Path

import pytest
import yaml

from airgap.node.layout import Node
from ops.cluster import check_answers, other_kubeconfig
from ops.errors import OperatorError
from ops.home import Home

pytestmark = pytest.mark.ring("unit")


def written(path: Path, server: str) -> Path:
    document = {
        "current-context": "there",
        "contexts": [{"name": "there", "context": {"cluster": "far", "user": "me"}}],
        "clusters": [{"name": "far", "cluster": {"server": server}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_without_a_kubeconfig_this_machines_cluster_is_used(tmp_path: Path) -> None:
    assert other_kubeconfig(Home(tmp_path), None, {}) is None


def test_the_kubeconfig_of_this_machines_cluster_is_not_another_cluster(tmp_path: Path) -> None:
    own = str(Node.of(tmp_path).kubeconfig)
    assert other_kubeconfig(Home(tmp_path), None, {"KUBECONFIG": own}) is None


def test_a_kubeconfig_in_the_environment_names_another_cluster(tmp_path: Path) -> None:
    assert other_kubeconfig(Home(tmp_path), None, {"KUBECONFIG": "/a/config:/b/config"}) == Path("/a/config")


def test_the_option_goes_before_the_environment(tmp_path: Path) -> None:
    assert other_kubeconfig(Home(tmp_path), Path("/given"), {"KUBECONFIG": "/a/config"}) == Path("/given")


def test_a_cluster_that_is_away_is_one_line_with_its_address(tmp_path: Path) -> None:
    path = written(tmp_path / "config", "https://127.0.0.1:9")
    with pytest.raises(OperatorError) as caught:
        check_answers(path)
    assert caught.value.reason.startswith(f"the cluster https://127.0.0.1:9 of {path} does not answer: ")
    assert "unset KUBECONFIG" in caught.value.mend


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as caught:
        check_answers(tmp_path / "none")
    assert caught.value.reason == f"{tmp_path / 'none'} cannot be read: No such file or directory"


def test_a_current_context_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "config", "https://127.0.0.1:9")
    path.write_text(path.read_text().replace("current-context: there", "current-context: elsewhere"))
    with pytest.raises(OperatorError) as caught:
        check_answers(path)
    assert "'elsewhere'" in caught.value.reason
