"""The variables for Pulumi typed by hand."""

import json
import subprocess
from pathlib import Path

import pytest

from ops.environment import pulumi_environment, shell_exports
from ops.home import Home

pytestmark = pytest.mark.ring("unit")


def test_the_passphrase_is_named_by_its_file_and_never_shown(tmp_path: Path) -> None:
    home = Home(tmp_path).make()
    home.passphrase.write_text("do-not-show-me")
    text = shell_exports(pulumi_environment(home, {"PATH": "/usr/bin"}))
    assert "do-not-show-me" not in text
    assert f"PULUMI_CONFIG_PASSPHRASE_FILE={home.passphrase}" in text


def test_a_given_passphrase_is_neither_repeated_nor_overruled(tmp_path: Path) -> None:
    variables = pulumi_environment(Home(tmp_path), {"PATH": "", "PULUMI_CONFIG_PASSPHRASE": "do-not-show-me"})
    assert "do-not-show-me" not in json.dumps(variables)
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in variables


def test_what_the_user_chose_stays(tmp_path: Path) -> None:
    given = {
        "PATH": "/usr/bin",
        "PULUMI_BACKEND_URL": "s3://bucket",
        "PULUMI_CONFIG_PASSPHRASE_FILE": "/given/file",
        "PULUMI_HOME": "/given/home",
    }
    variables = pulumi_environment(Home(tmp_path), given)
    assert {name: variables[name] for name in given if name != "PATH"} == {
        name: value for name, value in given.items() if name != "PATH"
    }
    assert "/given/home/bin" in variables["PATH"].split(":")


def test_the_exports_work_in_a_shell_and_are_the_same_when_made_twice(tmp_path: Path) -> None:
    home = Home(tmp_path / "a folder with 'quotes' and $signs")
    first = pulumi_environment(home, {"PATH": "/usr/bin:/bin"})
    script = shell_exports(first) + '\nprintf "%s" "$PULUMI_BACKEND_URL"'
    done = subprocess.run(["/bin/sh", "-c", script], env={}, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == f"file://{home.state}"
    assert pulumi_environment(home, first) == first


def test_the_home_follows_the_usual_variables(tmp_path: Path) -> None:
    assert Home.of({"WORKFLOW_HOME": str(tmp_path)}).root == tmp_path
    assert Home.of({"XDG_DATA_HOME": "/data"}).root == Path("/data/workflow-platform")
    assert Home.of({"HOME": "/home/me"}).root == Path("/home/me/.local/share/workflow-platform")
