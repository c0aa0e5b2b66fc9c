-- Delete what a zone kept if it has no entities, and take no more of what this incarnation writes: no number is higher than this one.
-- KEYS: epoch, written, entities, arrivals, places, transfers, claimed, owner. ARGV: epoch
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'fenced' end
if redis.call('EXISTS', KEYS[3], KEYS[4]) > 0 then return 'kept' end
redis.call('DEL', KEYS[5], KEYS[6], KEYS[7], KEYS[8])
local last = ARGV[1] .. '.9007199254740991'
redis.call('HSET', KEYS[2], 'entities', last, 'places', last)
return 'ok'
