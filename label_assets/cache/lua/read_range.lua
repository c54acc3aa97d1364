-- Values of the rows of one section that open in [start, end), oldest first, at most so many; nil for one that was
-- evicted. Nothing at all where the index does not list every row from start on.
-- KEYS: index. ARGV: what keys of rows begin with, start, end, most rows.
local span = redis.call('ZSCORE', KEYS[1], 'span')
if not span or tonumber(ARGV[2]) < -1 - tonumber(span) then
    return false
end
local epochs = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], '(' .. ARGV[3], 'LIMIT', 0, ARGV[4])
if #epochs == 0 then
    return {}
end
for n = 1, #epochs do
    epochs[n] = ARGV[1] .. epochs[n]
end
return redis.call('MGET', unpack(epochs))
