-- One step of a job's life. KEYS: the job, all jobs, open ones. ARGV: what, job id, prefix of jobs' keys, then its own
local job, all, open = KEYS[1], KEYS[2], KEYS[3]
local id, prefix = ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function text(value) return string.format('%.0f', value) end
local function told(key) return redis.call('HMGET', key, 'job', 'state', 'runs', 'cancelling', 'ended') end
-- A lease that has run out is still its owner's until somebody else takes it.
local function has(owner)
  return redis.call('HGET', job, 'owner') == owner and redis.call('ZSCORE', open, id)
end

local steps = {}

-- ARGV: the job (JSON), most open ones. The same again is fine.
function steps.add(data, most)
  if redis.call('EXISTS', job) == 1 then return 'ok' end
  if redis.call('ZCARD', open) >= tonumber(most) then return 'full' end
  -- Two of one microsecond stay in the order they came.
  local last = redis.call('ZRANGE', all, -1, -1, 'WITHSCORES')
  local score = math.max(now, tonumber(last[2] or '0') + 1)
  redis.call('HSET', job, 'job', data, 'state', 'planned', 'runs', 0)
  redis.call('ZADD', all, text(score), id)
  redis.call('ZADD', open, 0, id)
  return 'ok'
end

-- ARGV: owner, lease us. The oldest that nobody carries out, as `told`; or false.
function steps.claim(owner, lease)
  local oldest, first
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', open, '-inf', text(now))) do
    local came = tonumber(redis.call('ZSCORE', all, each) or '0')
    if not first or came < first then oldest, first = each, came end
  end
  if not oldest then return false end
  local key = prefix .. oldest
  redis.call('ZADD', open, text(now + tonumber(lease)), oldest)
  redis.call('HSET', key, 'owner', owner, 'state', 'running')
  redis.call('HINCRBY', key, 'runs', 1)
  return told(key)
end

-- ARGV: owner, lease us
function steps.renew(owner, lease)
  if not has(owner) then return 0 end
  redis.call('ZADD', open, text(now + tonumber(lease)), id)
  return 1
end

-- ARGV: owner, the job (JSON), its state, how many that have ended are kept, 1 while it is open
function steps.save(owner, data, state, keep, is_open)
  if not has(owner) then
    -- This very call, sent twice?
    return redis.call('HMGET', job, 'owner', 'job')[2] == data and redis.call('HGET', job, 'owner') == owner and 1 or 0
  end
  redis.call('HSET', job, 'job', data, 'state', state)
  if is_open == '1' then return 1 end
  redis.call('ZREM', open, id)
  local over = redis.call('ZCARD', all) - redis.call('ZCARD', open) - tonumber(keep)
  for _, each in ipairs(over > 0 and redis.call('ZRANGE', all, 0, -1) or {}) do
    if over <= 0 then break end
    if not redis.call('ZSCORE', open, each) then
      redis.call('DEL', prefix .. each)
      redis.call('ZREM', all, each)
      over = over - 1
    end
  end
  return 1
end

-- ARGV: when (Unix seconds), 1 if one that runs is meant, too. As `told`; or false: no such job.
function steps.cancel(at, running)
  local state = redis.call('HGET', job, 'state')
  if not state then return false end
  if redis.call('ZSCORE', open, id) and (state == 'planned' or running == '1') then
    redis.call('HSET', job, 'cancelling', 1)
    if state == 'planned' then
      redis.call('HSET', job, 'state', 'cancelled', 'ended', at)
      redis.call('ZREM', open, id)
    end
  end
  return told(job)
end

return steps[ARGV[1]](ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
