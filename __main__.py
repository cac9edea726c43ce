"""Where Pulumi enters the program.

It is here and not in `infra/` because Pulumi runs program and dynamic providers in the folder of this file: only from
the project's root do both find the virtual environment of Pulumi.yaml and the project's packages.
"""

from pathlib import Path

import pulumi

from infra.program import deploy
from stacks.load import load_stack_of_program

deploy(load_stack_of_program(pulumi.get_stack(), Path(__file__).parent))
