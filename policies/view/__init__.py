"""One face for every resource, whichever provider it is of and wherever it was read."""
