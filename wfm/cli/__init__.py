"""The command ``wfm``."""
