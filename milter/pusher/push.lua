-- One push: all that an instance has to say, in one atomic script over its own keys (one slot of a cluster).
--
-- KEYS  1 meta, 2 counters, 3 gauges
-- ARGV  1 owner, 2 epoch, 3 seq, 4 "full" or the seq of the push before, 5 fields that the push before left in counters,
--       6 lease in ms, 7 seconds that meta and counters live, 8 seconds that gauges live,
--       9 number of arguments that are meta pairs, 10 of counter pairs, 11 run; the pairs of meta, counters, gauges follow
--
-- Answers {"written" or "again", time in ms, stored seq, fields in counters, fields in gauges}, the last three from before. "again":
-- the keys are not as the push before left them (failover, FLUSHALL, eviction), nothing was written, send everything.
-- A foreign owner, or the same in another run (a copy of its tally), whose lease is fresh, or a seq that is not greater: an error that begins with FENCED, nothing written.
-- HLEN comes before DEL: a key of another type is an error, and is left alone.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'seq', 'lease', 'run')
local counters, gauges = redis.call('HLEN', KEYS[2]), redis.call('HLEN', KEYS[3])
local owner, epoch, seq = before[1], tonumber(before[2] or 0), tonumber(before[3] or 0)
local lease = tonumber(before[4] or 0) - now
local full = ARGV[4] == 'full'
local ours = owner == ARGV[1] and before[5] == ARGV[11]

if owner and not ours and lease > 0 then
    return redis.error_reply('FENCED by ' .. owner .. ' for ' .. lease .. ' ms')
end
if ours and (tonumber(ARGV[2]) < epoch or (tonumber(ARGV[2]) == epoch and tonumber(ARGV[3]) <= seq)) then
    return redis.error_reply('FENCED by a later push: epoch ' .. epoch .. ' seq ' .. seq)
end
if not full and (not ours or seq ~= tonumber(ARGV[4]) or counters ~= tonumber(ARGV[5])) then
    return {'again', now, seq, counters, gauges}
end

-- unpack takes some thousand values at most
local function hset(key, first, last)
    for from = first, last, 2000 do
        redis.call('HSET', key, unpack(ARGV, from, math.min(from + 1999, last)))
    end
end
local meta_last = 11 + tonumber(ARGV[9])
local counters_last = meta_last + tonumber(ARGV[10])

if full then
    redis.call('DEL', KEYS[2])
end
hset(KEYS[2], meta_last + 1, counters_last)
redis.call('EXPIRE', KEYS[2], ARGV[7])
redis.call('DEL', KEYS[3])
hset(KEYS[3], counters_last + 1, #ARGV)
redis.call('EXPIRE', KEYS[3], ARGV[8])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'run', ARGV[11], 'epoch', ARGV[2], 'seq', ARGV[3],
    'lease', string.format('%.0f', now + tonumber(ARGV[6])), 'pushed_at', string.format('%.3f', now / 1000))
hset(KEYS[1], 12, meta_last)
redis.call('EXPIRE', KEYS[1], ARGV[7])
return {'written', now, seq, counters, gauges}
