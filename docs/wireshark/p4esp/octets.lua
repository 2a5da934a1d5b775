-- Strings of octets: numbers in network order, hexadecimal, exclusive or.

local bits = require "p4esp.bits"

local band, rshift = bits.band, bits.rshift

local octets = {}

--- The number that `length` octets hold from offset `at` on; exact up to 6 octets.
function octets.number(text, at, length)
  local value = 0
  for place = at + 1, at + length do
    value = value * 256 + text:byte(place)
  end
  return value
end

--- A number in `length` octets.
function octets.of_number(value, length)
  local made = {}
  for place = length, 1, -1 do
    made[place] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(made)
end

--- What is at an offset; to the end without a length.
function octets.part(text, at, length)
  return text:sub(at + 1, length and at + length or -1)
end

--- Zero octets.
function octets.zeros(count)
  return ("\0"):rep(count)
end

--- With zero octets in front, `length` octets long.
function octets.right(text, length)
  return octets.zeros(length - #text) .. text
end

--- The octets of hexadecimal digits, or nil.
function octets.of_hex(digits)
  if #digits % 2 ~= 0 or digits:find("%X") then
    return nil
  end
  return (digits:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

--- Hexadecimal digits.
function octets.hex(text)
  return (text:gsub(".", function(octet)
    return ("%02x"):format(octet:byte())
  end))
end

--- Exclusive or of two texts, as long as the shorter one.
function octets.xor(one, other)
  local made = {}
  for place = 1, math.min(#one, #other) do
    made[place] = string.char(bits.bxor(one:byte(place), other:byte(place)))
  end
  return table.concat(made)
end

--- A text as 32-bit words; the last one is filled with zeros.
function octets.words(text)
  local padded = text .. octets.zeros(-#text % 4)
  local made = {}
  for place = 1, #padded, 4 do
    local a, b, c, d = padded:byte(place, place + 3)
    made[#made + 1] = ((a * 256 + b) * 256 + c) * 256 + d
  end
  return made
end

--- The text of 32-bit words.
function octets.of_words(words)
  local made = {}
  for place = 1, #words do
    local word = words[place]
    made[place] = string.char(rshift(word, 24), band(rshift(word, 16), 255),
      band(rshift(word, 8), 255), band(word, 255))
  end
  return table.concat(made)
end

return octets
