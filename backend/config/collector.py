"""Python's garbage collector, for processes that run for months."""

import gc


def tune_collector(*, threshold: int) -> None:
    """Looks for cycles after `threshold` new objects, and no more at what is there already.

    Cycles are rare here and short-lived objects many (an event's values, a chart's points): the default of 700 would
    cost a tenth of the speed. Call it when all modules are loaded.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(threshold, 20, 20)
