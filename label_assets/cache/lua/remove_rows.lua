-- Remove rows of one section that are older than a version, or are gone already, from keys and index.
-- KEYS: index, then one a row. ARGV: version, then the epoch of each row. Returns the number of rows removed.
local removed = 0
for n = 2, #KEYS do
    local stored = redis.call('GETRANGE', KEYS[n], 0, 7)
    if stored == '' or struct.unpack('>I8', stored) < tonumber(ARGV[1]) then
        redis.call('DEL', KEYS[n])
        removed = removed + redis.call('ZREM', KEYS[1], ARGV[n])
    end
end
return removed
