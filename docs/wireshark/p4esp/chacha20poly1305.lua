-- ChaCha20-Poly1305 (RFC 8439).

local bits = require "p4esp.bits"
local octets = require "p4esp.octets"

local bxor, lrotate = bits.bxor, bits.lrotate
local WORD = 2 ^ 32
-- Poly1305's numbers have ten limbs of 13 bits: products and sums of them are exact in a double.
local LIMBS, LIMB = 10, 2 ^ 13
local QUARTERS = {
  { 1, 5, 9, 13 }, { 2, 6, 10, 14 }, { 3, 7, 11, 15 }, { 4, 8, 12, 16 },
  { 1, 6, 11, 16 }, { 2, 7, 12, 13 }, { 3, 8, 9, 14 }, { 4, 5, 10, 15 },
}

local function little_words(text)
  local made = {}
  for at = 1, #text, 4 do
    made[#made + 1] = octets.number(text:sub(at, at + 3):reverse(), 0, 4)
  end
  return made
end

local function quarter(s, a, b, c, d)
  s[a] = (s[a] + s[b]) % WORD
  s[d] = lrotate(bxor(s[d], s[a]), 16)
  s[c] = (s[c] + s[d]) % WORD
  s[b] = lrotate(bxor(s[b], s[c]), 12)
  s[a] = (s[a] + s[b]) % WORD
  s[d] = lrotate(bxor(s[d], s[a]), 8)
  s[c] = (s[c] + s[d]) % WORD
  s[b] = lrotate(bxor(s[b], s[c]), 7)
end

--- 64 octets of the key stream.
local function block(key, counter, nonce)
  local start = little_words("expand 32-byte k" .. key
    .. octets.of_number(counter, 4):reverse() .. nonce)
  local state = {}
  for place = 1, 16 do
    state[place] = start[place]
  end
  for _ = 1, 10 do
    for _, at in ipairs(QUARTERS) do
      quarter(state, at[1], at[2], at[3], at[4])
    end
  end
  local made = {}
  for place = 1, 16 do
    made[place] = octets.of_number((state[place] + start[place]) % WORD, 4):reverse()
  end
  return table.concat(made)
end

--- The limbs of a number whose lowest octet is the first.
local function limbs(text)
  local made, value, weight = {}, 0, 1
  for place = 1, #text do
    value, weight = value + text:byte(place) * weight, weight * 256
    while weight >= LIMB do
      made[#made + 1] = value % LIMB
      value, weight = math.floor(value / LIMB), weight / LIMB
    end
  end
  made[#made + 1] = value
  while #made < LIMBS do
    made[#made + 1] = 0
  end
  return made
end

--- With each limb below 2^13 again; what leaves at the end comes back five times.
local function carried(number)
  local carry = 0
  for place = 1, LIMBS do
    local sum = number[place] + carry
    number[place], carry = sum % LIMB, math.floor(sum / LIMB)
  end
  number[1] = number[1] + 5 * carry
  return number
end

local function product(one, other)
  local made = {}
  for place = 1, LIMBS do
    local sum = 0
    for at = 1, LIMBS do
      local rest = place - at + 1
      sum = sum + one[at] * (rest > 0 and other[rest] or 5 * other[rest + LIMBS])
    end
    made[place] = sum
  end
  return carried(carried(made))
end

--- Modulo 2^130 - 5, exactly.
local function reduced(number)
  number = carried(carried(carried(number)))
  local less = { number[1] + 5 }
  local carry = 0
  for place = 1, LIMBS do
    local sum = (place == 1 and less[1] or number[place]) + carry
    less[place], carry = sum % LIMB, math.floor(sum / LIMB)
  end
  return carry > 0 and less or number
end

--- The lowest 16 octets of a number, lowest first.
local function lowest(number)
  local made, value, weight = {}, 0, 1
  for place = 1, LIMBS do
    value, weight = value + number[place] * weight, weight * LIMB
    while weight >= 256 and #made < 16 do
      made[#made + 1] = string.char(value % 256)
      value, weight = math.floor(value / 256), weight / 256
    end
  end
  return table.concat(made)
end

--- r of the one-time key, some of whose bits are always 0 (RFC 8439 2.5).
local function clamped(text)
  local made = {}
  for place = 1, 16 do
    local octet = text:byte(place)
    if place % 4 == 0 then
      octet = octet % 16
    elseif place % 4 == 1 and place > 1 then
      octet = octet - octet % 4
    end
    made[place] = string.char(octet)
  end
  return table.concat(made)
end

local function poly1305(key, text)
  local r, sum = limbs(clamped(key:sub(1, 16))), limbs("")
  for at = 1, #text, 16 do
    local part = limbs(text:sub(at, at + 15) .. "\1")
    for place = 1, LIMBS do
      sum[place] = sum[place] + part[place]
    end
    sum = product(sum, r)
  end
  sum = reduced(sum)
  local s = limbs(key:sub(17, 32))
  local carry = 0
  for place = 1, LIMBS do
    local total = sum[place] + s[place] + carry
    sum[place], carry = total % LIMB, math.floor(total / LIMB)
  end
  return lowest(sum)
end

local function padded(text)
  return text .. octets.zeros(-#text % 16)
end

local aead = {}

--- A key needs no preparation.
function aead.prepared(key)
  return key
end

--- The check value of 16 octets over data and ciphertext.
function aead.tag(key, nonce, data, ciphertext)
  local lengths = octets.of_number(#data, 8):reverse() .. octets.of_number(#ciphertext, 8):reverse()
  local text = padded(data) .. padded(ciphertext) .. lengths
  return poly1305(block(key, 0, nonce):sub(1, 32), text)
end

--- Encrypts, or decrypts.
function aead.crypted(key, nonce, text)
  local made = {}
  for at = 0, #text - 1, 64 do
    made[#made + 1] = octets.xor(octets.part(text, at, 64), block(key, 1 + at / 64, nonce))
  end
  return table.concat(made)
end

return aead
