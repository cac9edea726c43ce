"""What every agent kind is: typed settings, and one coroutine that turns a step's input into its output."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from service.executor.kinds.log_lines import Lines, LogLine, log_line
from service.executor.kinds.secrets import SecretFolder, SecretReader, SecretUnusableError

SAVING = "saving"
"""Names the flag in the context of a validation that is about settings to be saved, not about saved ones."""


class AgentSettings(BaseModel):
    """Base of the kinds' settings: immutable, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def least_seconds(self) -> float:
        """How long a step with these settings takes at least: a timeout below it can never be kept."""
        return 0.0


class StepFailedError(Exception):
    """A step's attempt did not succeed.

    ``code`` is stable and short (``http-status``), ``detail`` is for people and holds no secret, ``retryable`` says
    whether another attempt may help, ``retry_after`` is the pause in seconds that the called side asked for.
    """

    def __init__(self, code: str, detail: str, *, retryable: bool, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.retry_after = retry_after

    def as_json(self) -> dict[str, Any]:
        """The form in which it is journalled."""
        return {"code": self.code, "detail": self.detail, "retryable": self.retryable}


@dataclass(frozen=True)
class StepContext:
    """Which attempt this is; agents use it to identify themselves to what they call.

    ``run_id`` and ``step_id`` are the same for all attempts; an item of ``for_each`` has a ``step_id`` of its own.
    """

    run_id: str
    step_id: str
    attempt: int
    correlation_id: str
    secrets: SecretReader = field(default_factory=SecretReader, repr=False, compare=False)
    lines: Lines = field(default_factory=list[LogLine], repr=False, compare=False)
    """What was logged; in a test a list."""

    def log(self, message: str, /, *, level: str = "info", **fields: Any) -> None:
        """Add a line to the run's log, cleared of the secrets that this attempt has read.

        Readers of the run see it within seconds. ``level`` is debug, info, warning or error (ValueError for another);
        ``fields`` are JSON, of anything else its text. What is too long is cut, and what is too much for one run is
        dropped and counted.
        """
        clear = self.secrets.redacted
        self.lines.append(log_line(level, message, fields, step_id=self.step_id, attempt=self.attempt, clear=clear))

    def secret(self, name: str) -> str:
        """A secret that the settings name; whatever the attempt leaves behind is cleared of it. Raises StepFailedError.

        Send it where it belongs and keep it nowhere.
        """
        try:
            return self.secrets.read(name)
        except SecretUnusableError as error:
            raise StepFailedError(error.code, str(error), retryable=False) from None


SettingsT = TypeVar("SettingsT", bound=AgentSettings)


class Agent(ABC, Generic[SettingsT]):
    """One kind of agent."""

    kind: ClassVar[str]
    """The name by which an agent asks for this kind."""

    instant: ClassVar[bool] = False
    """True for a kind that only computes: its result may be journalled later, together with others, because doing it
    again after a crash gives the same and touches nothing."""

    settings_model: type[SettingsT]

    secret_folder: SecretFolder | None = None
    """Where the attempts' secrets come from; set by the executor."""

    @abstractmethod
    async def run(self, settings: SettingsT, step_input: dict[str, Any], context: StepContext) -> Any:
        """The step's output (any JSON value); raises StepFailedError."""

    async def close(self) -> None:
        """Give back what the kind holds."""
