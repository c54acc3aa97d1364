-- Tables and views of the database; the cluster of a Distributed one is the first argument of its engine.
SELECT name, sorting_key, if(engine = 'Distributed', extract(engine_full, '^Distributed\\(\'([^\']+)\''), '') AS cluster
FROM system.tables
WHERE database = currentDatabase()
