"""All that a machine needs, in the order in which one thing needs another."""

from collections.abc import Callable
from pathlib import Path

from ops import reports
from ops.console import Progress, Report
from ops.docker_client import connect
from ops.home import Home
from ops.locks import exclusive
from ops.setup import docker_engine
from ops.setup.base_image import base_image_ready, ensure_base_image
from ops.setup.disk import check_disk
from ops.setup.passphrase import make_passphrase, passphrase_ready
from ops.setup.pulumi_tools import PulumiTools
from ops.setup.step import Step, run_steps

WAIT_FOR_ANOTHER_SECONDS = 1800.0


def set_up(home: Home, progress: Progress) -> list[str]:
    """Runs the steps that this machine still needs and returns their names; waits, bounded, for a set-up under way."""
    home.make()
    lock = home.locks / "setup.lock"
    with exclusive(lock, "setting this machine up", progress.say, WAIT_FOR_ANOTHER_SECONDS):
        return run_steps(setup_steps(home), progress)


def setup_steps(home: Home) -> list[Step]:
    """The steps for a home folder, none of them run yet."""
    tools = PulumiTools(home)
    return [
        Step(
            "Passphrase of the state",
            lambda: passphrase_ready(home.passphrase),
            lambda _report: make_passphrase(home.passphrase, home.state),
        ),
        Step("Docker engine", docker_engine.answers, lambda report: docker_engine.ensure(home, report)),
        Step("Pulumi CLI", lambda: tools.cli() is not None, _with_room(home, tools.ensure_cli)),
        Step("Pulumi plugins", tools.plugins_ready, tools.ensure_plugins),
        Step("Base image", base_image_ready, _with_room(home, ensure_base_image)),
        Step("Images", lambda: images_ready(home), _with_room(home, lambda report: build_images(home, report))),
    ]


def _with_room(home: Home, run: Callable[[Report], None]) -> Callable[[Report], None]:
    """The same step, refused before it begins when the disk under the home or under the engine is too full for it."""

    def checked(report: Report) -> None:
        client = connect()
        try:
            engine = Path(client.info()["DockerRootDir"])
        finally:
            client.close()
        check_disk([home.root, engine] if engine.is_dir() else [home.root])
        run(report)

    return checked


def images_ready(home: Home) -> bool:
    """Whether the engine has every image in the version that the tree describes, and that is written down."""
    from images import catalog

    wanted = {name: catalog.reference(name) for name in catalog.names()}
    recorded = reports.recorded_images(home)
    if any(recorded.get(name) != reference for name, reference in wanted.items()):
        return False
    client = connect()
    try:
        # One call: the listing of image objects would inspect each of them.
        have = {tag for image in client.api.images() for tag in image["RepoTags"] or []}
    finally:
        client.close()
    return all(reference in have for reference in wanted.values())


def build_images(home: Home, report: Report) -> None:
    """Builds the missing ones and writes down what they are. Raises what the build raises, with a reason and a mend."""
    from images import build, catalog

    reports.record_images(home, build.build(list(catalog.names()), report))
