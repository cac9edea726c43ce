"""The operator's commands: set a machine up, deploy a stack, look at it, verify it, take it away."""
