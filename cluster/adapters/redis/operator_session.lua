-- A login at the console. It expires when it was idle for too long, and at its end at the latest.
-- KEYS: session, operators, the operator's sessions (of 'begin' alone).
-- ARGV: 'begin', session (JSON), idle ms, longest ms, the session's hash, most sessions; or 'use', or 'look' (which is no use)
-- Returns {session, operator}, or false. Whether the generations agree is for the caller. 'begin' returns the hashes that are too many.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if ARGV[1] == 'begin' then
  local ends = now + tonumber(ARGV[4])
  local at = string.format('%.0f', now)
  redis.call('HSET', KEYS[1], 'session', ARGV[2], 'idle', ARGV[3], 'ends', string.format('%.0f', ends), 'used', at)
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.min(now + tonumber(ARGV[3]), ends)))
  redis.call('ZADD', KEYS[3], at, ARGV[5])
  redis.call('PEXPIREAT', KEYS[3], string.format('%.0f', ends)) -- the newest one ends last
  return redis.call('ZRANGE', KEYS[3], 0, -1 - tonumber(ARGV[6]))
end
local held = redis.call('HMGET', KEYS[1], 'session', 'idle', 'ends')
if not held[1] then return false end
local operator = redis.call('HGET', KEYS[2], cjson.decode(held[1])['operator'])
if not operator then
  redis.call('DEL', KEYS[1])
  return false
end
if ARGV[1] == 'use' then
  redis.call('HSET', KEYS[1], 'used', string.format('%.0f', now))
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.min(now + tonumber(held[2]), tonumber(held[3]))))
end
return { held[1], operator }
