"""Where Pulumi enters the pack: `pulumi preview --policy-pack policies`. It only assembles."""

import gc
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# Pulumi starts this file alone; the package is found from the folder above, and its modules only through it.
sys.path[:] = [str(FOLDER.parent), *(path for path in sys.path if Path(path or ".").resolve() != FOLDER)]

# It lives as long as one preview or `up`: looking for circles of garbage would only take time from it.
gc.disable()

from policies.errors import PolicyError  # noqa: E402
from policies.pack import serve  # noqa: E402

try:
    serve()
except PolicyError as error:
    sys.exit(f"error: {error.reason}\nmend:  {error.mend}")
