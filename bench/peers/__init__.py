"""The service beside others that people use: the same work, on one machine, in one session."""
