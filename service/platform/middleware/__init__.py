"""Pure ASGI layers around the application; see ``service.app`` for their order."""
