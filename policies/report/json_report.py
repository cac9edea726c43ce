"""For programs of one's own."""

import json

from policies.engine.findings import Judgement


def as_json(judgement: Judgement) -> str:
    """One document; its shape is that of Judgement.as_json."""
    return json.dumps(judgement.as_json(), indent=2)
