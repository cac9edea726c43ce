"""The commands of `./deploy-api.sh`: each a thin arrangement of the parts of this package.

They are in the modules imported here; this one is the entry, which explains every failure.
"""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence

import typer

from ops import cli_backup, cli_machine, cli_release, cli_stack, cluster_cli, policy_cli  # noqa: F401 - each adds its commands
from ops.cli_common import app, context_of, current
from ops.console import err
from ops.errors import OperatorError

app.add_typer(cluster_cli.app, name="cluster")
app.add_typer(policy_cli.app, name="policy")

UNEXPECTED = 70
INTERRUPTED = 130


def _explain(reason: str, mend: str) -> None:
    err.print(f"error: {reason}\nmend:  {mend}", markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 well, 1 an explained failure, 2 wrong usage, 70 unexpected, 130
    interrupted."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    current.clear()
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        result = app(args=given, standalone_mode=False, prog_name="deploy-api.sh")
    except OperatorError as error:
        _explain(error.reason, error.mend)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  # the last resort, which explains or records every failure
        return _report(error)
    if result == INTERRUPTED:
        err.print("interrupted; the command can be run again and goes on from here")
    return result if isinstance(result, int) else 0


def _as_interrupt(_number: int, _frame: object) -> None:
    """A polite end is an interrupt: what was begun is wound up the same way."""
    raise KeyboardInterrupt


def _report(error: Exception) -> int:
    """Failures of the other packages bring their own reason and mend; the rest is unexpected and goes to the log."""
    if (show := getattr(error, "show", None)) and (code := getattr(error, "exit_code", None)) is not None:
        show()
        return int(code)
    if (reason := getattr(error, "reason", None)) and (mend := getattr(error, "mend", None)):
        _explain(" ".join(str(reason).split()), " ".join(str(mend).split()))
        return 1
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        _explain(f"the disk is full ({error.filename or 'while writing'})", "free disk space and run the command again")
        return 1
    context = context_of("unexpected")
    context.record.write("".join(traceback.format_exception(error)))
    text = " ".join(str(error).split())[:200]
    _explain(f"unexpected {type(error).__name__}: {text}", f"the full story is in {context.log}")
    return UNEXPECTED
