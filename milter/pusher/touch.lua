-- Notes in the index of instances when one last pushed, and forgets those that have been silent for long.
--
-- KEYS 1 the index; ARGV 1 instance, 2 seconds after which a silent instance is forgotten
-- Scores are Redis' own time in seconds; GT, so that a late script never takes a time back.

local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZADD', KEYS[1], 'GT', string.format('%.3f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.3f', now - tonumber(ARGV[2])))
return now
