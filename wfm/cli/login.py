"""`wfm login`, `logout`, `whoami`, `profiles`, `health`."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from wfm.cli.access import LOCAL, resolve
from wfm.cli.command import Cli, command
from wfm.cli.exits import REFUSED, CliError
from wfm.cli.profiles import DEFAULT, Profile, config_file, load, save
from wfm.cli.show import err


class ListedProfile(BaseModel):
    """A profile without its secret."""

    name: str
    url: str | None
    ca_file: str | None
    username: str | None
    secret: str


def add_to(app: typer.Typer) -> None:
    """The commands without a subject."""

    @command(
        app,
        "login",
        examples=[
            "wfm login --url https://workflow.example --ca-file ca.crt --username ada",
            "WFM_API_KEY_FILE=pipeline.key wfm login --url https://workflow.example --store",
        ],
    )
    def login(
        cli: Cli,
        store: Annotated[
            bool, typer.Option("--store", help="Keep the secret as well: the API key, or the token until it ends.")
        ] = False,
    ) -> Any:
        """Try the credentials and keep the address in a profile; the secret only with --store, a password never."""
        access = resolve(cli.given, new_profile=True)
        secrets = dict(access.secrets)
        if not secrets and sys.stdin.isatty():
            name = typer.prompt("User name", err=True)
            secrets = {"username": name, "password": typer.prompt("Password", hide_input=True, err=True)}
        with replace(access, secrets=secrets).client() as client:
            caller = client.auth.whoami()
            token = client.session.token
        path = config_file(os.environ)
        ca_file = str(Path(access.ca_file).resolve()) if access.ca_file else None
        kept = Profile(url=access.url, ca_file=ca_file, username=secrets.get("username"))
        if store:
            kept = replace(kept, api_key=secrets.get("api_key"), token=secrets.get("token") or token)
        save(path, {**load(path), access.profile: kept})
        told = "with the secret" if kept.has_secret else "without any secret"
        err().print(f"the profile {access.profile} is in {path}, {told}", markup=False)
        return caller

    @command(app, "logout", examples=["wfm logout"])
    def logout(cli: Cli) -> Any:
        """Forget the stored secret of the profile; a token itself stays valid until it ends."""
        name = cli.given.profile or os.environ.get("WFM_PROFILE") or DEFAULT
        path = config_file(os.environ)
        profiles = load(path)
        if name in profiles:
            save(path, profiles | {name: replace(profiles[name], api_key=None, token=None)})

    @command(app, "profiles", columns=("name", "url", "ca_file", "username", "secret"))
    def profiles(_cli: Cli) -> Any:
        """List what `wfm login` kept; secrets are not shown."""
        found = load(config_file(os.environ))
        return [
            ListedProfile(
                name=name,
                url=each.url,
                ca_file=each.ca_file,
                username=each.username,
                secret="API key" if each.api_key else "token" if each.token else "none",
            )
            for name, each in found.items()
        ]

    @command(app, "whoami", examples=["wfm whoami --json"])
    def whoami(cli: Cli) -> Any:
        """Show whose credentials these are, and what they may."""
        return cli.client.auth.whoami()

    @command(app, "health", examples=[f"wfm health --url {LOCAL}"])
    def health(cli: Cli) -> Any:
        """Show whether the service can serve requests. Exit code 1 if not."""
        with replace(resolve(cli.given, ask=False), secrets={}).client() as client:
            found = client.health.ready()
        cli.show(found)
        if found.status != "ready":
            raise CliError("the service is not ready", code=REFUSED)
