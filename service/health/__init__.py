"""Whether a process lives, and whether it can serve."""
