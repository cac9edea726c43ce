"""The parts of a stack's description, by subject."""
