"""The environment in which the Pulumi CLI finds its tools, its state and its passphrase."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from ops.home import PROJECT_DIR, Home
from ops.kubeconfig import kubeconfig


def pulumi_environment(home: Home, environ: Mapping[str, str] = os.environ, venv: Path | None = None) -> dict[str, str]:
    """The variables to add for `pulumi`; what the user already chose (backend, passphrase, PULUMI_HOME) stays.

    The passphrase is named by its file, never by its value.
    """
    venv = venv or Path(environ.get("WORKFLOW_VENV") or PROJECT_DIR / ".venv")
    pulumi_home = environ.get("PULUMI_HOME") or str(home.pulumi)
    path = [str(venv / "bin"), str(Path(pulumi_home) / "bin")]
    path += [folder for folder in environ.get("PATH", "").split(os.pathsep) if folder and folder not in path]
    added = {
        "WORKFLOW_HOME": str(home.root),
        "VIRTUAL_ENV": str(venv),
        "PATH": os.pathsep.join(path),
        "PULUMI_HOME": pulumi_home,
        "PULUMI_PYTHON_CMD": str(venv / "bin" / "python"),
        "PULUMI_BACKEND_URL": environ.get("PULUMI_BACKEND_URL") or f"file://{home.state}",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Set-up installs the plugins; without this a missing one is looked for on hosts that may never answer.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        # The salt lives in the state, so that a committed stack config stays the same on every machine.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    }
    if "PULUMI_CONFIG_PASSPHRASE" not in environ:
        given = environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
        added["PULUMI_CONFIG_PASSPHRASE_FILE"] = given or str(home.passphrase)
    if clusters := kubeconfig(home, environ):
        added["KUBECONFIG"] = clusters
    return added


def shell_exports(variables: Mapping[str, str]) -> str:
    """The variables as lines for `eval` in a POSIX shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items()))
