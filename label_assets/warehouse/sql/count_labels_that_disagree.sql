-- Rows of labels in which columns contradict each other, by month, granularity and horizon; one column a rule of
-- warehouse.agreement, and one a column where the catalogue says when it is NULL. Float32 columns are compared with rounded values: rounding keeps order and equality.
SELECT
    formatDateTime(t.ts, '%Y-%m') AS month,
    t.granularity AS granularity,
    t.horizon AS horizon,
    count() AS label_rows,
    countIf(entry_ts <= t.ts OR horizon_end_ts <= entry_ts) AS times_are_in_order,
    countIf(
        isNull(horizon_end_ts) != isNull(exit_price)
        OR (window_status = 'complete' AND isNull(horizon_end_ts))
        OR (window_status = 'open' AND isNotNull(horizon_end_ts))
    ) AS horizon_end_follows_status,
    countIf(
        window_status = 'complete' AND (path_bars = 0 OR coverage < toFloat32({minimum_coverage:Float64}))
    ) AS complete_windows_are_covered,
    countIf(
        (coverage = 1 AND mae > forward_return) OR (coverage = 1 AND forward_return > mfe)
    ) AS return_lies_between_excursions,
    countIf(
        (mfe = 0) != isNull(time_to_mfe) OR (mae = 0) != isNull(time_to_mae)
        OR time_to_mfe > path_bars OR time_to_mae > path_bars
    ) AS excursion_times_fit,
    countIf(
        forward_return != toFloat32(exit_price / entry_price - 1)
        OR (return_sign = 0 AND abs(forward_return) > toFloat32({flat_return:Float64}))
        OR (return_sign != 0 AND return_sign != sign(forward_return))
        OR sign(log_return) != sign(forward_return)
    ) AS returns_agree,
    countIf(
        (triple_barrier_label = 1 AND barrier_return <= 0)
        OR (triple_barrier_label = -1 AND barrier_return >= 0)
        OR (triple_barrier_label = 0 AND (barrier_return != forward_return OR triple_barrier_ambiguous))
    ) AS barrier_return_follows_label,
    countIf(
        time_to_barrier < 1 OR time_to_barrier > path_bars
        OR barrier_end_ts <= entry_ts OR barrier_end_ts > horizon_end_ts
        OR (triple_barrier_label = 0 AND (barrier_end_ts != horizon_end_ts OR time_to_barrier != path_bars))
    ) AS barrier_time_lies_in_window,
    countIf(
        etb_lower >= entry_price OR etb_upper <= entry_price
        OR etb_upper > entry_price + {barrier_atr:Float64} * atr OR etb_lower < entry_price - {barrier_atr:Float64} * atr
        OR level_adjusted != (
            etb_upper < entry_price + {barrier_atr:Float64} * atr OR etb_lower > entry_price - {barrier_atr:Float64} * atr
        )
    ) AS level_barriers_enclose_entry,
    countIf(
        (enhanced_triple_barrier_label = 1 AND (etb_barrier_hit != 'upper' OR etb_exit_price < etb_upper))
        OR (enhanced_triple_barrier_label = -1 AND (etb_barrier_hit != 'lower' OR etb_exit_price > etb_lower))
        OR (enhanced_triple_barrier_label = 0 AND (etb_barrier_hit != 'none' OR etb_exit_price != exit_price OR etb_ambiguous))
        OR etb_return != toFloat32(etb_exit_price / entry_price - 1)
    ) AS level_barrier_exit_follows_label,
    countIf(
        etb_time_to_barrier < 1 OR etb_time_to_barrier > path_bars
        OR etb_end_ts <= entry_ts OR etb_end_ts > horizon_end_ts
        OR (
            enhanced_triple_barrier_label = 0
            AND (etb_end_ts != horizon_end_ts OR etb_time_to_barrier != path_bars)
        )
    ) AS level_barrier_time_lies_in_window,
    countIf(
        max_touches_single_level > retouch_count
        OR (retouch_count = 0) != (max_touches_single_level = 0)
        OR (retouch_count = 0) != isNull(next_touch_time)
        OR next_touch_time > path_bars OR time_at_level > path_bars OR consecutive_touch_run > time_at_level
        OR (time_at_level = 0) != (consecutive_touch_run = 0)
        OR (retouch_count > 0 AND time_at_level = 0)
    ) AS touches_agree,
    countIf(
        breakout_occurred != (breakout_side != 'none')
        OR breakout_occurred != isNotNull(breakout_time) OR breakout_occurred != isNotNull(breakout_distance)
        OR breakout_time > path_bars
        OR (false_breakout AND NOT breakout_occurred)
    ) AS breaks_agree,
    countIf(
        flip_occurred != (flip_count > 0) OR flip_occurred != isNotNull(flip_time)
        OR (flip_occurred AND NOT breakout_occurred)
        OR flip_time <= breakout_time OR flip_time > path_bars
    ) AS flips_follow_breaks,
    countIf(
        toInt64(event_count) - retouch_count - flip_count < flip_count
        OR toInt64(event_count) - retouch_count - flip_count > levels_considered
        OR (toInt64(event_count) - retouch_count - flip_count > 0) != breakout_occurred
    ) AS events_add_up,
    countIf(
        (next_event_type = 'none') != isNull(time_to_next_event)
        OR time_to_next_event != least(ifNull(next_touch_time, 65535), ifNull(breakout_time, 65535))
        OR (
            next_event_type != 'none'
            AND (next_event_type = 'break') != (ifNull(breakout_time, 65535) <= ifNull(next_touch_time, 65535))
        )
    ) AS next_event_comes_first,
    countIf(
        (level_holds AND retouch_count = 0) OR (NOT level_holds AND NOT breakout_occurred)
        OR (isNotNull(level_holds) AND levels_considered = 0)
    ) AS level_holds_fits,
    countIf(
        (nearest_level_role = 'none') != isNull(nearest_level_distance)
        OR (levels_considered > 0 AND nearest_level_role = 'none')
        OR (levels_considered = 0 AND (event_count > 0 OR time_at_level > 0 OR isNotNull(max_penetration_depth)))
    ) AS without_levels_nothing_happens,
    countIf(
        time_underwater > path_bars
        OR (coverage = 1 AND runup_height < forward_return) OR (coverage = 1 AND drawdown_depth > forward_return)
        OR sign(path_sharpe) != sign(forward_return)
    ) AS path_shape_agrees,
    /* null rules */
FROM
(
    SELECT * FROM labels
    WHERE instrument_id = {instrument:String}
        AND labels.ts >= toDateTime({start:UInt32}, 'UTC') AND labels.ts < toDateTime({end:UInt32}, 'UTC')
) AS t
GROUP BY month, granularity, horizon
ORDER BY month, granularity, horizon
