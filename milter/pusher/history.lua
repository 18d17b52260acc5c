-- One entry of an instance's history. Best effort, and repeatable: an entry of that time, or of a later one, is there already.
--
-- KEYS  1 meta, 2 history
-- ARGV  1 owner, 2 run, 3 entries that are kept, about, 4 seconds that the key lives, 5 the entry's id; its fields and values follow
--
-- Only the owner of the instance writes: a foreign one is an error that begins with FENCED, nothing written.
-- Whatever Redis says against XADD (a key of another type, no such command, no right) is the answer, and nothing is written.

local before = redis.call('HMGET', KEYS[1], 'owner', 'run')
if before[1] ~= ARGV[1] or before[2] ~= ARGV[2] then
    return redis.error_reply('FENCED by ' .. tostring(before[1]))
end
local added = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], unpack(ARGV, 5))
if type(added) == 'table' and added.err then
    if string.find(added.err, 'equal or smaller than the target stream top item', 1, true) then
        return 'there'
    end
    return added
end
redis.call('EXPIRE', KEYS[2], ARGV[4])
return 'written'
