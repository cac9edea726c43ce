"""The OpenAPI document: what FastAPI makes of the routes, with errors and security as this service has them."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service.auth.scopes import SCOPES
from service.platform.problems import HEADERS, Problem
from service.platform.settings import Settings

DOCUMENT = Path(__file__).with_name("openapi.json")
"""The committed document, compared with the routes by a test; ``python -m service openapi --write`` renews it."""


def describe(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The document of an application."""
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    components = found.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "apiKey": {
            "type": "apiKey",
            "in": "header",
            "name": settings.api_key_header,
            "description": "A key may be narrowed to scopes; each operation names the one that it needs.",
            "x-scopes": {scope.value: f"{grant.meaning} ({grant.role})" for scope, grant in SCOPES.items()},
        },
    }
    components["headers"] = {
        name: {"description": meaning, "schema": schema} for name, (meaning, schema) in HEADERS.items()
    }
    schemas = components.setdefault("schemas", {})
    described = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= described.pop("$defs", {})
    schemas["Problem"] = described
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return found


def document() -> dict[str, Any]:
    """The document with default settings, as it is committed."""
    from service.app import create_app

    settings = Settings.model_validate({"database_url": "postgresql://nobody@nowhere/none", "kafka_brokers": "none:1"})
    return create_app(settings).openapi()
