-- SHA-256 (FIPS 180-4), HMAC (RFC 2104) and HKDF-Expand (RFC 5869).

local bits = require "p4esp.bits"
local octets = require "p4esp.octets"

local band, bnot, bxor, rrotate, rshift =
  bits.band, bits.bnot, bits.bxor, bits.rrotate, bits.rshift
local WORD, BLOCK = 2 ^ 32, 64

local function primes(count)
  local found = {}
  local number = 2
  while #found < count do
    local prime = true
    for _, smaller in ipairs(found) do
      prime = prime and number % smaller ~= 0
    end
    found[#found + 1] = prime and number or nil
    number = number + 1
  end
  return found
end

--- The first 32 bits behind the point of a root of each prime. A double has 53 bits, enough.
local function fractions(count, exponent)
  local made = {}
  for place, prime in ipairs(primes(count)) do
    made[place] = math.floor(prime ^ exponent % 1 * WORD)
  end
  return made
end

local START, K = fractions(8, 1 / 2), fractions(64, 1 / 3)

local function schedule(words, at)
  local w = {}
  for place = 1, 16 do
    w[place] = words[at + place]
  end
  for place = 17, 64 do
    local old, new = w[place - 15], w[place - 2]
    local low = bxor(rrotate(old, 7), rrotate(old, 18), rshift(old, 3))
    local high = bxor(rrotate(new, 17), rrotate(new, 19), rshift(new, 10))
    w[place] = (w[place - 16] + low + w[place - 7] + high) % WORD
  end
  return w
end

local function compressed(state, w)
  local a, b, c, d, e, f, g, h = state[1], state[2], state[3], state[4],
    state[5], state[6], state[7], state[8]
  for place = 1, 64 do
    local choice = bxor(band(e, f), band(bnot(e), g))
    local majority = bxor(band(a, b), band(a, c), band(b, c))
    local one = h + bxor(rrotate(e, 6), rrotate(e, 11), rrotate(e, 25)) + choice + K[place]
      + w[place]
    local two = bxor(rrotate(a, 2), rrotate(a, 13), rrotate(a, 22)) + majority
    a, b, c, d, e, f, g, h = (one + two) % WORD, a, b, c, (d + one) % WORD, e, f, g
  end
  local new = { a, b, c, d, e, f, g, h }
  for place = 1, 8 do
    new[place] = (new[place] + state[place]) % WORD
  end
  return new
end

local sha256 = {}

--- The digest of a text.
function sha256.digest(text)
  local padding = "\128" .. octets.zeros((-#text - 9) % BLOCK)
  local words = octets.words(text .. padding .. octets.of_number(8 * #text, 8))
  local state = START
  for at = 0, #words - 1, 16 do
    state = compressed(state, schedule(words, at))
  end
  return octets.of_words(state)
end

--- HMAC with a key of up to 64 octets.
function sha256.hmac(key, text)
  local padded = key .. octets.zeros(BLOCK - #key)
  local inner = octets.xor(padded, ("\54"):rep(BLOCK))
  local outer = octets.xor(padded, ("\92"):rep(BLOCK))
  return sha256.digest(outer .. sha256.digest(inner .. text))
end

--- `length` octets from a root and what tells them from others.
function sha256.expanded(root, info, length)
  local made, block, number = "", "", 1
  while #made < length do
    block = sha256.hmac(root, block .. info .. string.char(number))
    made, number = made .. block, number + 1
  end
  return made:sub(1, length)
end

return sha256
