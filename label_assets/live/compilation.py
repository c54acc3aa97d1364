"""Compile what the hot path calls, ahead of the first candle.

Belongs here: calling it once with what a tail gives it. Does not belong here: the kernels of runs
(`compute.compilation`), which are compiled first.
"""

from label_assets.compute.compilation import compile_kernels, zigzag
from label_assets.live.newest import RowMaker
from label_assets.live.tail import Tail
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import ladder
from label_assets.settings import Settings

QUARTER_S = 900


def compile_live_kernels(settings: Settings) -> None:
    """Compile and cache the kernels of runs and the calls of the hot path; half a minute where none is cached."""
    compile_kernels()
    calendar = SessionCalendar(settings.session_open)
    base = zigzag(256, QUARTER_S)
    whole = settings.model_copy(update={"base_granularity": "M15", "granularities": ("H1",)})
    tail = Tail(whole, calendar, "COMPILE", {"M15": base, **ladder(base, "M15", calendar)}, is_whole=True)
    RowMaker(tail.view, "H1").rows(tail.view, 1)
