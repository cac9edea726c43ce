"""The graph of a workflow, or of a run with its statuses, as a template draws it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.console.icons import ICONS
from service.console.layout import NODE_HEIGHT, NODE_WIDTH, Drawing, draw
from service.workflows.schemas import Flow, Step

_LONGEST = 19


@dataclass(frozen=True, slots=True)
class Box:
    """A step as it is drawn."""

    x: float
    y: float
    label: str
    title: str
    status: str
    shape: str
    says: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """One graph with what it is called; without a drawing where there is too much to draw."""

    id: str
    name: str
    drawing: Drawing | None
    boxes: Sequence[Box]
    box_width: int = NODE_WIDTH
    box_height: int = NODE_HEIGHT


def diagrams(flow: Flow, statuses: Mapping[str, str] | None = None) -> list[Diagram]:
    """The graph of the steps, and that of those for a failure where there are some; with statuses, of a run."""
    found = [_diagram("graph", "Steps", flow.steps, statuses)]
    if flow.on_failure:
        found.append(_diagram("graph-on-failure", "Steps after a failure", flow.on_failure, statuses))
    return found


def _diagram(mark: str, name: str, steps: Sequence[Step], statuses: Mapping[str, str] | None) -> Diagram:
    drawing = draw({step.id: step.needs for step in steps})
    known = {step.id: step for step in steps}
    boxes = []
    for node in drawing.nodes if drawing else ():
        step = known[node.id]
        status = "step" if statuses is None else statuses.get(step.id, "pending")
        says = f"agent {step.agent}" if statuses is None else status
        title = f"{step.id}: {says}" + (f"; needs {', '.join(step.needs)}" if step.needs else "")
        boxes.append(Box(node.x, node.y, _short(step.id), title, status, ICONS[status], _short(says)))
    return Diagram(mark, name, drawing, boxes)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
