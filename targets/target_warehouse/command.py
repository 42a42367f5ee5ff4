"""The console script.

What is imported here stays until the end. The garbage collector, which would look through it again
and again, is off meanwhile: an eighth of the time until the first message is read.
"""

from __future__ import annotations

import gc

gc.disable()

from target_warehouse.target import TargetWarehouse  # noqa: E402

gc.freeze()
gc.enable()

__all__ = ["main"]

main = TargetWarehouse.cli
