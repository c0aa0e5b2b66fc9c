-- One fenced write of a zone. KEYS: epoch, target. ARGV: epoch, command, arguments...
if tonumber(redis.call('GET', KEYS[1]) or '0') ~= tonumber(ARGV[1]) then return 'fenced' end
redis.call(ARGV[2], KEYS[2], unpack(ARGV, 3))
return 'ok'
