"""``python -m wfm``."""

from wfm.cli.main import main

main()
