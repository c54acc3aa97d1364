SELECT name, sorting_key
FROM system.tables
WHERE database = currentDatabase() AND engine NOT LIKE '%View'
