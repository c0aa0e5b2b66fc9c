-- Publish a device's keys, signed by an identity. Returns {outcome, version, thumbprint or what is stale}.
-- KEYS: the user's hash. ARGV: thumbprint, identity version, identity record, device, device version, device record, suites, most,
-- most ever, replace ('1' or '0')
-- The hash: thumb, version, identity; for each device `d:<id>` record, `s:<id>` suites, and `v:<id>` version, which stays.
local key, thumb, version = KEYS[1], ARGV[1], tonumber(ARGV[2])
local device, device_version = ARGV[4], tonumber(ARGV[5])
local known = redis.call('HMGET', key, 'thumb', 'version')
local known_version = tonumber(known[2] or '0')
local other = known[1] and known[1] ~= thumb
if other and ARGV[10] ~= '1' then return {'identity_known', known[2], known[1]} end
if version < known_version or (other and version == known_version) then return {'stale_version', known[2], 'identity'} end

local same = false
if not other then
  local now = redis.call('HMGET', key, 'd:' .. device, 'v:' .. device)
  same = now[1] == ARGV[6]
  if not same then
    if device_version <= tonumber(now[2] or '0') then return {'stale_version', now[2], 'device'} end
    local here, ever = 0, 0
    for _, field in ipairs(redis.call('HKEYS', key)) do
      local kind = string.sub(field, 1, 2)
      if kind == 'd:' then here = here + 1 elseif kind == 'v:' then ever = ever + 1 end
    end
    if (not now[1] and here >= tonumber(ARGV[8])) or (not now[2] and ever >= tonumber(ARGV[9])) then
      return {'too_many_devices', '0', ''}
    end
  end
else
  redis.call('DEL', key)
end
redis.call('HSET', key, 'thumb', thumb, 'version', ARGV[2])
if not known[1] or other or version > known_version then redis.call('HSET', key, 'identity', ARGV[3]) end
if not same then
  redis.call('HSET', key, 'd:' .. device, ARGV[6], 's:' .. device, ARGV[7], 'v:' .. device, ARGV[5])
end
if not known[1] then return {'first', ARGV[2], thumb} end
if other then return {'replaced', ARGV[2], thumb} end
if same and version == known_version then return {'same', ARGV[2], thumb} end
return {'changed', ARGV[2], thumb}
