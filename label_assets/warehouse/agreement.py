"""Counts of stored labels whose columns contradict each other or the candles: the matter of asset checks.

Belongs here: the names of the rules, counting in the database. Does not belong here: ranges of single columns
(`warehouse.invariants`), what Dagster does with a count (`assets`).
"""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from label_assets.catalog.columns import Column
from label_assets.catalog.families import FAMILIES
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.statements import statement
from label_assets.warehouse.upsert import Scope

RULES: Mapping[str, str] = MappingProxyType(
    {
        "times_are_in_order": "ts < entry_ts < horizon_end_ts.",
        "horizon_end_follows_status": "Complete windows have a horizon end, open ones have none.",
        "complete_windows_are_covered": "Complete windows have path bars, and enough of them.",
        "return_lies_between_excursions": "mae ≤ forward_return ≤ mfe where the coverage is 1.",
        "excursion_times_fit": "mfe and mae have a time where they are not 0, and it lies in the path.",
        "returns_agree": "forward_return is exit over entry; return_sign and log_return have its sign.",
        "barrier_return_follows_label": "Above 0 at the upper barrier, below at the lower, forward_return at none.",
        "barrier_time_lies_in_window": "The touch lies in the path; without one it is the horizon end.",
        "level_barriers_enclose_entry": "etb_lower < entry < etb_upper, none beyond the plain width; adjusted inside.",
        "level_barrier_exit_follows_label": "etb exit price, hit and return are those of its label.",
        "level_barrier_time_lies_in_window": "The same of the level-adjusted barrier's touch.",
        "touches_agree": "Touches of one level ≤ of all; times exist with them and lie in the path.",
        "breaks_agree": "Side, time and distance exist where a level breaks; only then is a breakout false.",
        "flips_follow_breaks": "Flips come after the first break and have a time.",
        "events_add_up": "event_count − touches − flips = breaks, between flips and the levels considered.",
        "next_event_comes_first": "time_to_next_event is the earlier of the first touch and the first break.",
        "level_holds_fits": "A level that holds was touched, one that does not hold broke.",
        "without_levels_nothing_happens": "Without considered levels there is no event, with them a nearest level.",
        "path_shape_agrees": "Run-up and drawdown enclose the return at coverage 1; path_sharpe has its sign.",
    }
)
"""Rules between columns of one row, each a column of count_labels_that_disagree.sql."""

NULL_RULE = "null_only_where_defined"
"""Name of the rule that the catalogue's column `null` says when a value is NULL."""

_WINDOW = "unless the window is complete"
_WINDOW_AND_ATR = "unless the window is complete and the ATR defined"


class Disagreements(NamedTuple):
    """Rows that break a rule, in two views of the same violations.

    Attributes:
        rows: Rows looked at.
        by_month: Violations by month `YYYY-MM`.
        where: Violations by "GRANULARITY HORIZON rule".
    """

    rows: int
    by_month: Counter[str]
    where: Counter[str]


class OverdueRows(NamedTuple):
    """Rows that are open although the candle at their horizon end exists.

    Attributes:
        by_month: Rows by month `YYYY-MM`.
        where: The same rows by "GRANULARITY HORIZON".
    """

    by_month: Counter[str]
    where: Counter[str]


def null_violation(column: Column) -> str:
    """Condition in SQL under which a row breaks what the catalogue says of the column's NULL; "" if it says no rule.

    Whatever else makes a value NULL, all that the window makes NULL begins with the same words; a column that is NULL
    for nothing else must also have a value in each complete window.
    """
    if not column.null.startswith(_WINDOW):
        return ""
    broken = f"window_status != 'complete' AND isNotNull(`{column.name}`)"
    if column.null == _WINDOW:
        return f"{broken} OR window_status = 'complete' AND isNull(`{column.name}`)"
    if column.null.startswith(_WINDOW_AND_ATR):
        broken += f" OR isNull(atr) AND isNotNull(`{column.name}`)"
    if column.null == _WINDOW_AND_ATR:
        broken += f" OR window_status = 'complete' AND isNotNull(atr) AND isNull(`{column.name}`)"
    return broken


def count_disagreements(warehouse: Warehouse, scope: Scope, settings: Settings) -> Disagreements:
    """Rows of `labels` of a scope that break a rule of `RULES` or the catalogue's NULL rules."""
    labels = settings.labels
    nulls = {column.name: null_violation(column) for family in FAMILIES for column in family.table.columns}
    nulls = {f"{NULL_RULE} {name}": broken for name, broken in nulls.items() if broken}
    groups = warehouse.query_text(
        statement("count_labels_that_disagree").replace(
            "/* null rules */", ", ".join(f"countIf({broken}) AS `{rule}`" for rule, broken in nulls.items())
        ),
        instrument=scope.instrument_id,
        start=scope.start_ts,
        end=scope.end_ts,
        minimum_coverage=labels.minimum_coverage,
        flat_return=labels.flat_return,
        barrier_atr=labels.level_barrier_atr,
    ).to_pylist()
    found = Disagreements(sum(group["label_rows"] for group in groups), Counter(), Counter())
    for group in groups:
        counts = {rule: group[rule] for rule in (*RULES, *nulls) if group[rule]}
        found.by_month[group["month"]] += sum(counts.values())
        found.where.update({f"{group['granularity']} {group['horizon']} {rule}": n for rule, n in counts.items()})
    return found


def count_overdue_open_rows(warehouse: Warehouse, instrument_id: str, settings: Settings) -> OverdueRows:
    """Rows of `labels` of an instrument, of all time, that are open although their horizon end is there."""
    groups = warehouse.query(
        "count_overdue_open_rows",
        instrument=instrument_id,
        granularities=list(settings.granularities),
        horizons=list(settings.horizons),
    ).to_pylist()
    found = OverdueRows(Counter(), Counter())
    for group in groups:
        found.by_month[group["month"]] += group["overdue_rows"]
        found.where[f"{group['granularity']} {group['horizon']}"] += group["overdue_rows"]
    return found


def count_outdated_rows(warehouse: Warehouse, instrument_id: str, label_version: str) -> dict[str, dict[str, int]]:
    """Rows of `labels` of an instrument, of all time, by month `YYYY-MM` and the other version that made them."""
    found: dict[str, dict[str, int]] = {}
    for group in warehouse.query(
        "count_outdated_labels", instrument=instrument_id, label_version=label_version
    ).to_pylist():
        found.setdefault(group["month"], {})[group["label_version"]] = group["outdated_rows"]
    return found
