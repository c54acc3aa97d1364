-- Newest version among the candles of one instrument, of every granularity, tombstones included; 0 without any.
SELECT max(version) AS newest FROM {storage:Identifier} AS t WHERE t.instrument_id = {instrument:String}
