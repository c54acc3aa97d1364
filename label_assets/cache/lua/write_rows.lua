-- Write rows of one section unless a newer version of them is there, and move the covered span with the newest row.
-- KEYS: index, then one a row. ARGV: length of the span [s], life of the index [ms], open time from which on the index
-- lists every row once these are written (-1: as before), then epoch, life [ms] and value of each row.
-- Returns the number of rows whose content is new.
local index = KEYS[1]
local changed = 0
for n = 2, #KEYS do
    local at = 4 + (n - 2) * 3
    local epoch, life, value = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local stored = redis.call('GET', KEYS[n])
    if not stored or struct.unpack('>I8', stored) < struct.unpack('>I8', value) then
        redis.call('SET', KEYS[n], value, 'PX', life)
        if not stored or string.sub(stored, 9) ~= string.sub(value, 9) then
            changed = changed + 1
        end
    else
        redis.call('PEXPIRE', KEYS[n], life)
    end
    redis.call('ZADD', index, epoch, epoch)
end
local first = tonumber(ARGV[3])
if first < 0 then
    -- The span is a member of the index itself, so that both are evicted together; its score lies below all times.
    first = -1 - tonumber(redis.call('ZSCORE', index, 'span') or 0)
end
if first >= 0 then
    local last = redis.call('ZREVRANGEBYSCORE', index, '+inf', 0, 'LIMIT', 0, 1)[1]
    if last then
        first = math.max(first, tonumber(last) - tonumber(ARGV[1]))
    end
    redis.call('ZREMRANGEBYSCORE', index, 0, '(' .. first)
    redis.call('ZADD', index, -1 - first, 'span')
end
redis.call('PEXPIRE', index, ARGV[2])
return changed
