"""What people see while something runs: one line a step, what it does now, and how long it took.

Results go to stdout, everything about the way there to stderr. Without a terminal the same is said in plain lines, with
a sign of life at least every half minute, so that a CI log shows what is going on.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

Report = Callable[[str], None]

# Tables in a file or a pipe are not squeezed into 80 columns.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, highlight=False, soft_wrap=True)

PLAIN_LINE_SECONDS = 5.0
SIGN_OF_LIFE_SECONDS = 30.0


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s` or `3 min 58 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Task:
    """One running piece of work as it is shown: a title, the latest word from it, and the time so far."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.note = ""
        self.started = time.monotonic()
        self.spinner = Spinner("dots")

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def __rich__(self) -> Spinner:
        text = Text.assemble(self.title, "  ", (duration(self.elapsed), "dim"))
        if self.note:
            text.append(f"  {self.note}", style="dim")
        text.no_wrap, text.overflow = True, "ellipsis"
        self.spinner.update(text=text)
        return self.spinner


class Progress:
    """Shows steps on stderr and copies every word to the log of the running command."""

    def __init__(self, console: Console = err, log: Callable[[str], None] | None = None) -> None:
        self.console = console
        self.log = log or (lambda _line: None)
        self.took: dict[str, float] = {}

    def say(self, line: str) -> None:
        """One line that stays."""
        self.log(line)
        self.console.print(Text(line))

    @contextmanager
    def task(self, title: str) -> Iterator[Report]:
        """Shows the body as one step; yields what the body reports with. A failure marks the step and goes on up."""
        task = Task(title)
        self.log(f"--> {title}")
        runner = self._live if self.console.is_terminal else self._plain
        try:
            with runner(task) as report:
                yield report
        except BaseException:
            self._close(task, "✗", "red")
            raise
        self.took[title] = task.elapsed
        self._close(task, "✓", "green")

    def _close(self, task: Task, sign: str, style: str) -> None:
        self.log(f"{sign} {task.title}: {duration(task.elapsed)}")
        self.console.print(Text.assemble((sign, style), f" {task.title}  ", (duration(task.elapsed), "dim")))

    @contextmanager
    def _live(self, task: Task) -> Iterator[Report]:
        def report(line: str) -> None:
            task.note = line
            self.log(f"    {line}")

        with Live(task, console=self.console, refresh_per_second=8, transient=True):
            yield report

    @contextmanager
    def _plain(self, task: Task) -> Iterator[Report]:
        stop = threading.Event()
        shown = [time.monotonic()]
        lock = threading.Lock()

        def show(line: str) -> None:
            shown[0] = time.monotonic()
            self.console.print(Text(f"    [{duration(task.elapsed)}] {line}"))

        def report(line: str) -> None:
            self.log(f"    {line}")
            with lock:
                task.note = line
                if time.monotonic() - shown[0] >= PLAIN_LINE_SECONDS:
                    show(line)

        def live_sign() -> None:
            while not stop.wait(1):
                with lock:
                    if time.monotonic() - shown[0] >= SIGN_OF_LIFE_SECONDS:
                        show(task.note or "still at it")

        self.console.print(Text(f"→ {task.title}"))
        watcher = threading.Thread(target=live_sign, daemon=True)
        watcher.start()
        try:
            yield report
        finally:
            stop.set()
            watcher.join(timeout=5)


def is_terminal() -> bool:
    """Whether a person is at the other end, to be asked and to be shown secrets."""
    return sys.stdin.isatty() and sys.stdout.isatty()
