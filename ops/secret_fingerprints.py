"""Which secrets each stack of this machine has, by keyed fingerprints: so that one used in two stacks is seen."""

from ops.context import Context


def record(context: Context, stack: str, changed: bool) -> None:
    """Writes down those of a stack as it was deployed; what did not change and is recorded is left as it is.

    The secrets are read out of the state into memory, and only keyed hashes of them are written.
    """
    folder = context.home.secret_fingerprints
    if not changed and (folder / f"{stack}.json").exists():
        return
    from policies.sources.fingerprints import known_fingerprints, record_fingerprints
    from policies.sources.state import deployment_of

    known = known_fingerprints(context.engine.environ)
    if known is None:
        return
    deployment = deployment_of({"deployment": context.engine.export(stack, secrets=True)})
    record_fingerprints(folder, known.key, deployment)


def forget(context: Context, stack: str) -> None:
    """Of a stack whose secrets are gone."""
    (context.home.secret_fingerprints / f"{stack}.json").unlink(missing_ok=True)
