-- AES (FIPS 197), encryption only, with tables of 32-bit words: CTR, GHASH and CMAC need no more.

local bits = require "p4esp.bits"
local octets = require "p4esp.octets"

local band, bxor, rshift, rrotate = bits.band, bits.bxor, bits.rshift, bits.rrotate

--- A product by x in GF(2^8).
local function doubled(value)
  local twice = value * 2
  return twice > 255 and bxor(twice - 256, 0x1b) or twice
end

--- The S-box, by powers of the generator 3 and their inverses (FIPS 197 5.1.1).
local function substitution()
  local box = { [0] = 0x63 }
  local power, inverse = 1, 1
  repeat
    power = bxor(power, doubled(power))
    for _, shift in ipairs { 1, 2, 4 } do
      inverse = bxor(inverse, band(bits.lshift(inverse, shift), 255))
    end
    inverse = inverse > 127 and bxor(inverse, 9) or inverse
    local sum = inverse
    for turn = 1, 4 do
      sum = bxor(sum, band(bits.lshift(inverse, turn), 255), rshift(inverse, 8 - turn))
    end
    box[power] = bxor(sum, 0x63)
  until power == 1
  return box
end

local S = substitution()
-- SubBytes and MixColumns of an octet in each of the four rows.
local T0, T1, T2, T3 = {}, {}, {}, {}
for value = 0, 255 do
  local once, twice = S[value], doubled(S[value])
  local column = ((twice * 256 + once) * 256 + once) * 256 + bxor(twice, once)
  T0[value], T1[value] = column, rrotate(column, 8)
  T2[value], T3[value] = rrotate(column, 16), rrotate(column, 24)
end

local function substituted(word)
  return ((S[rshift(word, 24)] * 256 + S[band(rshift(word, 16), 255)]) * 256
    + S[band(rshift(word, 8), 255)]) * 256 + S[band(word, 255)]
end

local aes = {}

--- Round keys (FIPS 197 5.2) of a key of 16, 24 or 32 octets.
function aes.expanded(key)
  local words = octets.words(key)
  local size, constant = #words, 1
  for place = size + 1, 4 * (size + 7) do
    local word = words[place - 1]
    if (place - 1) % size == 0 then
      word = bxor(substituted(bits.lrotate(word, 8)), constant * 0x1000000)
      constant = doubled(constant)
    elseif size > 6 and (place - 1) % size == 4 then
      word = substituted(word)
    end
    words[place] = bxor(words[place - size], word)
  end
  return words
end

local function mixed(a, b, c, d, key)
  return bxor(T0[rshift(a, 24)], T1[band(rshift(b, 16), 255)], T2[band(rshift(c, 8), 255)],
    T3[band(d, 255)], key)
end

local function last(a, b, c, d, key)
  local word = ((S[rshift(a, 24)] * 256 + S[band(rshift(b, 16), 255)]) * 256
    + S[band(rshift(c, 8), 255)]) * 256 + S[band(d, 255)]
  return bxor(word, key)
end

--- The four words of a block, encrypted.
function aes.encrypt(keys, a, b, c, d)
  a, b, c, d = bxor(a, keys[1]), bxor(b, keys[2]), bxor(c, keys[3]), bxor(d, keys[4])
  local stop = #keys - 4
  for at = 5, stop, 4 do
    a, b, c, d = mixed(a, b, c, d, keys[at]), mixed(b, c, d, a, keys[at + 1]),
      mixed(c, d, a, b, keys[at + 2]), mixed(d, a, b, c, keys[at + 3])
  end
  return last(a, b, c, d, keys[stop + 1]), last(b, c, d, a, keys[stop + 2]),
    last(c, d, a, b, keys[stop + 3]), last(d, a, b, c, keys[stop + 4])
end

--- A block of 16 octets, encrypted.
function aes.block(keys, text)
  local words = octets.words(text)
  return octets.of_words { aes.encrypt(keys, words[1], words[2], words[3], words[4]) }
end

return aes
