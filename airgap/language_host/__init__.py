"""`pulumi-language-python` served from Python: it runs Pulumi programs and policy packs in their virtual environments."""

VERSION = "3.250.0"
