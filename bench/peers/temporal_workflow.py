"""The workflow that Temporal does, alone in a file because its sandbox imports that."""

from datetime import timedelta

from temporalio import activity, workflow


@activity.defn
async def nothing(value: int) -> int:
    """A step that does nothing."""
    return value + 1


@workflow.defn
class Three:
    """Three of them, one after the other."""

    @workflow.run
    async def run(self, value: int) -> int:
        """The number of steps more than was given."""
        for _ in range(3):
            value = await workflow.execute_activity(nothing, value, start_to_close_timeout=timedelta(seconds=30))
        return value
