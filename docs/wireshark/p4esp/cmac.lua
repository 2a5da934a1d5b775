-- AES-CMAC (NIST SP 800-38B) of one whole block, and the keys of PSP that are made with it.

local aes = require "p4esp.aes"
local bits = require "p4esp.bits"
local octets = require "p4esp.octets"

--- Labels of key derivation for versions 0 and 1 (PSP Architecture Specification).
local LABELS = { [16] = "Pv0\0", [32] = "Pv1\0" }

local function subkey(keys)
  local block = octets.words(aes.block(keys, octets.zeros(16)))
  local made = {}
  for place = 1, 4 do
    local carry = bits.rshift(block[place + 1] or 0, 31)
    made[place] = bits.bor(bits.lshift(block[place], 1), carry)
  end
  if bits.rshift(block[1], 31) == 1 then
    made[4] = bits.bxor(made[4], 0x87)
  end
  return octets.of_words(made)
end

local cmac = {}

--- The check value of a text of 16 octets.
function cmac.of_block(key, text)
  local keys = aes.expanded(key)
  return aes.block(keys, octets.xor(text, subkey(keys)))
end

--- The key of `length` octets, 16 or 32, that a master key gives an SPI (4 octets).
function cmac.psp_key(master, spi, length)
  local made = ""
  for counter = 1, length / 16 do
    local block = octets.of_number(counter, 4) .. LABELS[length] .. spi
    made = made .. cmac.of_block(master, block .. octets.of_number(8 * length, 4))
  end
  return made
end

return cmac
