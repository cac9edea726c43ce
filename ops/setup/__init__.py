"""What a machine needs before a stack can be deployed on it, as steps that are done once."""
