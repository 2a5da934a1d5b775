-- AES-GCM and AES-GMAC (NIST SP 800-38D) with a nonce of 12 octets.

local aes = require "p4esp.aes"
local bits = require "p4esp.bits"
local octets = require "p4esp.octets"

local band, bor, bxor = bits.band, bits.bor, bits.bxor
local lshift, rshift = bits.lshift, bits.rshift

-- What a product by x^4 adds for the four bits that leave at the end, in the highest word.
local REDUCED = {}
for value = 0, 15 do
  local word = 0
  for place = 0, 3 do
    if band(rshift(value, place), 1) == 1 then
      word = bxor(word, rshift(0xe1000000, 3 - place))
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

--- Products of the hash key with each polynomial of four bits: the highest bit is 1.
local function products(hash_key)
  local table_of = { [0] = { 0, 0, 0, 0 }, [8] = hash_key }
  for _, place in ipairs { 4, 2, 1 } do
    table_of[place] = next_power(table_of[2 * place])
  end
  for value = 1, 15 do
    local sum = { 0, 0, 0, 0 }
    for _, place in ipairs { 8, 4, 2, 1 } do
      if band(value, place) ~= 0 then
        for word = 1, 4 do
          sum[word] = bxor(sum[word], table_of[place][word])
        end
      end
    end
    table_of[value] = sum
  end
  return table_of
end

--- A block, times the hash key: from the last four bits to the first.
local function multiplied(by, block)
  local a, b, c, d = 0, 0, 0, 0
  for word = 4, 1, -1 do
    for shift = 0, 28, 4 do
      local carry = REDUCED[band(d, 15)]
      d = bor(lshift(c, 28), rshift(d, 4))
      c = bor(lshift(b, 28), rshift(c, 4))
      b = bor(lshift(a, 28), rshift(b, 4))
      a = bxor(rshift(a, 4), carry)
      local product = by[band(rshift(block[word], shift), 15)]
      a, b = bxor(a, product[1]), bxor(b, product[2])
      c, d = bxor(c, product[3]), bxor(d, product[4])
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
  local start, made = octets.words(nonce), {}
  for at = 0, #text - 1, 16 do
    local counter = 2 + at / 16
    local key = { aes.encrypt(prepared.keys, start[1], start[2], start[3], counter) }
    made[#made + 1] = octets.xor(octets.part(text, at, 16), octets.of_words(key))
  end
  return table.concat(made)
end

return gcm
