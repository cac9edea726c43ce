"""What a program written for one OpenAPI document finds broken in a later one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

Side = Literal["request", "answer"]

METHODS = ("get", "post", "put", "patch", "delete")
JSON = "application/json"


def operations(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every operation by method and path: `get /api/v1/agents`."""
    return {
        f"{method} {path}": operation
        for path, methods in document.get("paths", {}).items()
        for method, operation in methods.items()
        if method in METHODS
    }


class Comparison:
    """One operation as it was and as it is, each with the document that its schemas are in."""

    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str, Side]] = set()

    def of(self, operation: str) -> Iterator[str]:
        """What is broken, in words; nothing when a caller of before notices nothing."""
        before, after = operations(self._old)[operation], operations(self._new)[operation]
        yield from self._parameters(before, after)
        body, newer = _json(before.get("requestBody")), _json(after.get("requestBody"))
        if not before.get("requestBody", {}).get("required") and after.get("requestBody", {}).get("required"):
            yield "a body is required now"
        if body is not None and newer is not None:
            yield from self._schema(body, newer, "request", "body")
        for status, answer in before.get("responses", {}).items():
            if not status.startswith("2"):
                continue
            if status not in after.get("responses", {}):
                yield f"it no longer answers {status}"
                continue
            said, says = _json(answer), _json(after["responses"][status])
            if said is not None:
                yield from self._schema(said, says or {}, "answer", "answer")

    def _parameters(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
        had, has = _parameters(before), _parameters(after)
        for name in sorted(had.keys() - has.keys()):
            yield f"the parameter {name} is gone"
        for name, parameter in has.items():
            if parameter.get("required") and not had.get(name, {}).get("required"):
                yield f"the parameter {name} is required now"
            elif name in had:
                yield from self._schema(had[name].get("schema", {}), parameter.get("schema", {}), "request", name)

    def _schema(self, old: Any, new: Any, side: Side, where: str) -> Iterator[str]:
        pair = (str(old.get("$ref", "")), str(new.get("$ref", "")), side)
        if all(pair[:2]):
            if pair in self._seen:
                return
            self._seen.add(pair)
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        types, newer = _types(self._old, old), _types(self._new, new)
        # A request may be understood more widely than before, an answer may say less different things.
        if types and newer and not (types <= newer if side == "request" else newer <= types):
            yield f"{where} is of another type"
        words, newer_words = set(map(str, old.get("enum", ()))), set(map(str, new.get("enum", ())))
        if side == "request" and newer_words and not (words and words <= newer_words):
            yield f"{where} no longer takes every word"
        if side == "answer" and words and not (newer_words and newer_words <= words):
            yield f"{where} may be a word that it was not"
        yield from self._properties(old, new, side, where)
        if "items" in old and "items" in new:
            yield from self._schema(old["items"], new["items"], side, f"{where}[]")

    def _properties(self, old: Any, new: Any, side: Side, where: str) -> Iterator[str]:
        had, has = old.get("properties", {}), new.get("properties", {})
        for name in sorted(had.keys() - has.keys()):
            yield f"{where}.{name} is gone"
        needed, needs = set(old.get("required", ())), set(new.get("required", ()))
        if side == "request":
            yield from (f"{where}.{name} is required now" for name in sorted(needs - needed))
        else:
            yield from (f"{where}.{name} may be left out now" for name in sorted((needed - needs) & has.keys()))
        for name in sorted(had.keys() & has.keys()):
            yield from self._schema(had[name], has[name], side, f"{where}.{name}")


def _resolved(document: Mapping[str, Any], schema: Any) -> Any:
    """What a reference such as `#/components/schemas/Run` refers to."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step, {})
    return found


def _types(document: Mapping[str, Any], schema: Any) -> set[str]:
    """The types that a value may have; those of all its forms."""
    forms = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    found = {kind for form in forms for kind in _types(document, _resolved(document, form))}
    given = schema.get("type", ())
    return found | ({given} if isinstance(given, str) else set(given))


def _json(described: Any) -> Any:
    return (described or {}).get("content", {}).get(JSON, {}).get("schema")


def _parameters(operation: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{each['name']} in {each['in']}": each for each in operation.get("parameters", ())}
