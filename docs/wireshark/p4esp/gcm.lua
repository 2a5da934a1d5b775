-- AES-GCM and AES-GMAC (NIST SP 800-38D) with a nonce of 12 octets.

local aes = require "p4esp.aes"
local bits = require "p4esp.bits"
local octets = require "p4esp.octets"

local band, bor, bxor = bits.band, bits.bor, bits.bxor
local lshift, rshift = bits.lshift, bits.rshift

--- What a product by x^8 adds for the eight bits that leave at the end, in the highest word.
local REDUCED = {}
for value = 0, 255 do
  local word = 0
  for place = 0, 7 do
    if band(rshift(value, place), 1) == 1 then
      word = bxor(word, rshift(0xe1000000, 7 - place))
    end
  end
  REDUCED[value] = word
end

--- A block, times x.
local function next_power(block)
  local a, b, c, d = block[1], block[2], block[3], block[4]
  local carry = band(d, 1) == 1 and 0xe1000000 or 0
  return {
    bxor(rshift(a, 1), carry), bor(lshift(a, 31), rshift(b, 1)),
    bor(lshift(b, 31), rshift(c, 1)), bor(lshift(c, 31), rshift(d, 1)),
  }
end

--- Products of the hash key with each polynomial of eight bits: the highest bit is 1.
local function products(hash_key)
  local made = { [0] = { 0, 0, 0, 0 }, [128] = hash_key }
  for _, place in ipairs { 64, 32, 16, 8, 4, 2, 1 } do
    made[place] = next_power(made[2 * place])
  end
  for place = 2, 128 do
    if made[place] and band(place, place - 1) == 0 then
      for rest = 1, place - 1 do
        local one, other = made[place], made[rest]
        made[place + rest] = { bxor(one[1], other[1]), bxor(one[2], other[2]),
          bxor(one[3], other[3]), bxor(one[4], other[4]) }
      end
    end
  end
  return made
end

--- A block, times the hash key: from the last octet to the first.
local function multiplied(by, block)
  local a, b, c, d = 0, 0, 0, 0
  for word = 4, 1, -1 do
    for shift = 0, 24, 8 do
      local product, carry = by[band(rshift(block[word], shift), 255)], REDUCED[band(d, 255)]
      d = bxor(bor(lshift(c, 24), rshift(d, 8)), product[4])
      c = bxor(bor(lshift(b, 24), rshift(c, 8)), product[3])
      b = bxor(bor(lshift(a, 24), rshift(b, 8)), product[2])
      a = bxor(rshift(a, 8), carry, product[1])
    end
  end
  return { a, b, c, d }
end

local function hashed(by, texts)
  local sum = { 0, 0, 0, 0 }
  for _, text in ipairs(texts) do
    local words = octets.words(text .. octets.zeros(-#text % 16))
    for at = 0, #words - 1, 4 do
      for word = 1, 4 do
        sum[word] = bxor(sum[word], words[at + word])
      end
      sum = multiplied(by, sum)
    end
  end
  return sum
end

local gcm = {}

--- What a key is needed for, made once.
function gcm.prepared(key)
  local keys = aes.expanded(key)
  return { keys = keys, products = products { aes.encrypt(keys, 0, 0, 0, 0) } }
end

--- The check value of 16 octets over data and ciphertext.
function gcm.tag(prepared, nonce, data, ciphertext)
  local lengths = octets.of_number(8 * #data, 8) .. octets.of_number(8 * #ciphertext, 8)
  local sum = hashed(prepared.products, { data, ciphertext, lengths })
  local mask = aes.block(prepared.keys, nonce .. "\0\0\0\1")
  return octets.xor(octets.of_words(sum), mask)
end

--- Encrypts, or decrypts.
function gcm.crypted(prepared, nonce, text)
  local start, words = octets.words(nonce), octets.words(text)
  for at = 0, #words - 1, 4 do
    local key = { aes.encrypt(prepared.keys, start[1], start[2], start[3], 2 + at / 4) }
    for word = 1, math.min(4, #words - at) do
      words[at + word] = bxor(words[at + word], key[word])
    end
  end
  return octets.of_words(words):sub(1, #text)
end

return gcm
