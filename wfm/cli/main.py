"""The entry of ``wfm``, which explains every failure and gives it its exit code."""

import os
import sys
from collections.abc import Sequence

import typer

from wfm.cli import agents, deadletters, exits, keys, login, logs, run_control, runs, schedules, webhooks, workflows
from wfm.cli.command import RUNNING
from wfm.cli.exits import CliError
from wfm.cli.refusals import code_of, lines_of
from wfm.errors import WorkflowError

app = typer.Typer(
    name="wfm",
    help="The Workflow Management API from the command line.\n\n"
    "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 not found, 4 no answer in time, 5 the run failed.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
login.add_to(app)
run_control.add_to(runs.app)
logs.add_to(runs.app)
for part in (agents, workflows, runs, schedules, webhooks, deadletters, keys):
    app.add_typer(part.app)
app.add_typer(keys.audit)


def _say(lines: Sequence[str]) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in lines))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    RUNNING.clear()
    try:
        result = app(
            args=list(sys.argv[1:] if arguments is None else arguments), standalone_mode=False, prog_name="wfm"
        )
    except (CliError, WorkflowError) as error:
        document = RUNNING[0].document if RUNNING else None
        _say(lines_of(error, document))
        return error.code if isinstance(error, CliError) else code_of(error)
    except (KeyboardInterrupt, typer.Abort):
        result = exits.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; without this Python complains once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.DONE
    except OSError as error:
        _say([f"error: {' '.join(str(error).split())}"])
        return exits.USAGE
    except Exception as error:  # noqa: BLE001 - usage errors bring their own words; the rest is unexpected
        if (show := getattr(error, "show", None)) and (code := getattr(error, "exit_code", None)) is not None:
            show()
            return int(code)
        _say([f"error: unexpected {type(error).__name__}: {' '.join(str(error).split())[:200]}"])
        return exits.UNEXPECTED
    if result == exits.INTERRUPTED:
        _say(["interrupted"])
    return result if isinstance(result, int) else exits.DONE


def main() -> None:
    """The console script."""
    sys.exit(run())
