-- Newest version of what read_coverage counts, tombstones included; 0 where nothing was ever stored.
SELECT max(version) AS newest
FROM labels_storage
WHERE instrument_id IN {instruments:Array(String)} AND granularity = {granularity:String} AND horizon = {horizon:UInt16}
