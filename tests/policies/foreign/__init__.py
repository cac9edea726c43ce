"""Programs of somebody else, which know nothing of the workflow platform."""
