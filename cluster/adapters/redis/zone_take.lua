-- Own a zone: its next epoch, if the present one is the expected one. Returns the epoch, or a word.
-- KEYS: epoch, owner. ARGV: slot, expected epoch or '', call
local owner = redis.call('HMGET', KEYS[2], 'call', 'epoch')
if owner[1] == ARGV[3] then return owner[2] end -- this very call, sent twice
if ARGV[2] ~= '' and (redis.call('GET', KEYS[1]) or '0') ~= ARGV[2] then return 'fenced' end
local epoch = string.format('%.0f', redis.call('INCR', KEYS[1]))
redis.call('HSET', KEYS[2], 'slot', ARGV[1], 'epoch', epoch, 'call', ARGV[3])
return epoch
