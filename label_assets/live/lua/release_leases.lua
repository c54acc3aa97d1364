-- Give up leases that the worker holds. KEYS: sorted set of workers, then leases. ARGV: worker, 1 if it ends.
for n = 2, #KEYS do
    if redis.call('GET', KEYS[n]) == ARGV[1] then
        redis.call('DEL', KEYS[n])
    end
end
if ARGV[2] == '1' then
    redis.call('ZREM', KEYS[1], ARGV[1])
end
return 1
