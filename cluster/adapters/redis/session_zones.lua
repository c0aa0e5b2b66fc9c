-- The zone of each session: '' for none, nil for a session without a record. ARGV: namespace, id...
local zones = {}
for i = 2, #ARGV do
  local known = redis.call('HMGET', ARGV[1] .. ':session:' .. ARGV[i], 'session_id', 'zone_id')
  zones[i - 1] = known[1] and (known[2] or '')
end
return zones
