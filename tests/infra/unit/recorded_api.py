"""A cluster's API that answers from what was recorded."""

from tests.infra.support.cluster_api import RefusedError, Thing


class RecordedApi:
    """Lists and objects by the API's paths; remembers which selectors it was asked for, and makes nothing."""

    def __init__(self, lists: dict[str, list[Thing]], objects: dict[str, Thing] | None = None) -> None:
        self.lists = lists
        self.objects = objects or {}
        self.asked: list[str] = []

    def get(self, path: str) -> Thing:
        if path in self.objects:
            return self.objects[path]
        folder, _, name = path.rpartition("/")
        for each in self.lists.get(folder, ()):
            if each["metadata"]["name"] == name:
                return each
        raise RefusedError(404, "not found")

    def items(self, path: str, selector: str = "") -> list[Thing]:
        self.asked.append(selector)
        wanted = dict(word.split("=", 1) for word in selector.split(",") if word)
        return [
            each
            for each in self.lists.get(path, ())
            if wanted.items() <= (each["metadata"].get("labels") or {}).items()
        ]

    def create(self, path: str, body: Thing) -> Thing:
        raise RefusedError(403, f"{path} may not be made: {body}")

    def delete(self, path: str) -> None:
        raise RefusedError(403, path)

    def text(self, path: str) -> str:
        return f"log at {path}\n"

    def close(self) -> None:
        """Nothing is open."""
