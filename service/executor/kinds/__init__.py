"""The builtin agent kinds: one class each, found through the registry."""
