-- One open set in one hour, as a whole: see conf/lib/top.h. Best effort, and repeatable.
--
-- KEYS  1 meta, 2 top, 3 distinct
-- ARGV  1 owner, 2 run, 3 seconds that the keys live, 4 the sketch; the pairs of the hash follow
--
-- Only the owner of the instance writes: a foreign one is an error that begins with FENCED, nothing written.
-- HLEN and GETRANGE come before all else: a key of another type is an error, and is left alone.

local before = redis.call('HMGET', KEYS[1], 'owner', 'run')
if before[1] ~= ARGV[1] or before[2] ~= ARGV[2] then
    return redis.error_reply('FENCED by ' .. tostring(before[1]))
end
redis.call('HLEN', KEYS[2])
redis.call('GETRANGE', KEYS[3], 0, 0)
redis.call('DEL', KEYS[2])
for from = 5, #ARGV, 2000 do
    redis.call('HSET', KEYS[2], unpack(ARGV, from, math.min(from + 1999, #ARGV)))
end
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('SET', KEYS[3], ARGV[4], 'EX', ARGV[3])
return 'written'
