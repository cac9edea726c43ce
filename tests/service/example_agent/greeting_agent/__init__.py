"""An agent kind of a package: it greets whom the step's input names, after a pause, and signs with a secret."""

import asyncio
import hashlib
import hmac
from typing import Any

from pydantic import Field

from service.executor.kinds.base import Agent, AgentSettings, StepContext, StepFailedError
from service.executor.kinds.secrets import SecretReference


class GreetSettings(AgentSettings):
    """The word of greeting, how long to think about it, and the key to sign it with."""

    word: str = Field("Hello", min_length=1, max_length=50)
    pause_seconds: float = Field(0.0, ge=0, le=60, allow_inf_nan=False)
    key: SecretReference | None = None

    def least_seconds(self) -> float:
        """The pause."""
        return self.pause_seconds


class GreetAgent(Agent[GreetSettings]):
    """Returns ``{"text", "signature"}``; without a name in the input the step fails for good."""

    kind = "greet"
    settings_model = GreetSettings

    async def run(self, settings: GreetSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """Pause, greet, sign."""
        await asyncio.sleep(settings.pause_seconds)
        name = step_input.get("name")
        if not isinstance(name, str) or not name:
            raise StepFailedError("greet-name", "the input has no name to greet", retryable=False)
        text = f"{settings.word}, {name}!"
        context.log("greeted", name=name, signed=settings.key is not None)
        if settings.key is None:
            return {"text": text, "signature": None}
        key = context.secret(settings.key.secret).encode()
        return {"text": text, "signature": hmac.new(key, text.encode(), hashlib.sha256).hexdigest()}
