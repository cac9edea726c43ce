"""What a machine that reaches only package registries needs in place of downloads."""
