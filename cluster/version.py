"""The version of the code that runs in this process. Two versions may run beside each other while a realm is upgraded."""

from __future__ import annotations

import time

VERSION = "0.1.0"  # as pyproject.toml has it
LOADED_AT = time.time()  # Unix seconds. The process may be older: Ray keeps some that wait for work
