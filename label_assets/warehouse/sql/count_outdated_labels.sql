-- Rows of labels that another version of the definitions and settings made, of all time, by month and version.
SELECT formatDateTime(t.ts, '%Y-%m') AS month, t.label_version AS label_version, count() AS outdated_rows
FROM
(
    SELECT ts, label_version FROM labels
    WHERE instrument_id = {instrument:String} AND label_version != {label_version:String}
) AS t
GROUP BY month, label_version
ORDER BY month, label_version
