-- A user's families that began before a moment count no more; of two moments the later one holds.
-- KEYS: the user's mark. ARGV: before, ms for which it is kept
local there, before = redis.call('GET', KEYS[1]), ARGV[1]
if there and tonumber(there) > tonumber(before) then before = there end
redis.call('SET', KEYS[1], before, 'PX', math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1])))
return 'ok'
