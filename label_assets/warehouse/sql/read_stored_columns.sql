SELECT table, name, type, comment, compression_codec
FROM system.columns
WHERE database = currentDatabase()
ORDER BY table, position
