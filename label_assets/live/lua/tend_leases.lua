-- A sign of life of a worker; renew its leases and take free ones up to its fair share.
-- KEYS: sorted set of workers, then the lease of each instrument. ARGV: worker, length of a lease [ms], 1 to take more.
-- Returns: fair share, then for each lease 1 if the worker holds it, otherwise 0.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
local workers = redis.call('ZCARD', KEYS[1])
local share = math.ceil((#KEYS - 1) / workers)
local answer, held = {share}, 0
for n = 2, #KEYS do
    local is_own = redis.call('GET', KEYS[n]) == ARGV[1]
    if is_own then
        redis.call('PEXPIRE', KEYS[n], ARGV[2])
        held = held + 1
    end
    answer[n] = is_own and 1 or 0
end
if ARGV[3] == '1' then
    for n = 2, #KEYS do
        if held < share and answer[n] == 0 and redis.call('SET', KEYS[n], ARGV[1], 'NX', 'PX', ARGV[2]) then
            answer[n] = 1
            held = held + 1
        end
    end
end
return answer
