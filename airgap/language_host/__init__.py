"""`pulumi-language-python` served from Python: runs Pulumi programs and policy packs in their virtual environments."""

VERSION = "3.250.0"
