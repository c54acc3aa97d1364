-- Values of the newest rows of one section that open before a time, newest first; nil for one that was evicted. Nothing
-- at all where the index may lack one of them.
-- KEYS: index. ARGV: what keys of rows begin with, the time, how many.
local span = redis.call('ZSCORE', KEYS[1], 'span')
if not span then
    return false
end
local epochs = redis.call('ZREVRANGEBYSCORE', KEYS[1], '(' .. ARGV[2], 0, 'LIMIT', 0, ARGV[3])
if #epochs < tonumber(ARGV[3]) then
    return false
end
for n = 1, #epochs do
    epochs[n] = ARGV[1] .. epochs[n]
end
return redis.call('MGET', unpack(epochs))
