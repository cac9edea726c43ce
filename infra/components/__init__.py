"""One file for each system of the stack. Components hand on endpoints, not resources."""
