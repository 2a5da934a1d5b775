-- Prints what our ciphers make of the inputs of a file: words of a line in hexadecimal, "-" for none.

package.path = os.getenv("P4ESP_LUA") .. "/?.lua;" .. package.path

local octets = require "p4esp.octets"

local function aead(name)
  local cipher = require("p4esp." .. name)
  return function(key, nonce, data, text)
    local prepared = cipher.prepared(key)
    local hidden = cipher.crypted(prepared, nonce, text)
    return hidden .. cipher.tag(prepared, nonce, data, hidden)
  end
end

local CIPHERS = {
  gcm = aead("gcm"),
  chacha20poly1305 = aead("chacha20poly1305"),
  hkdf = function(root, info, length)
    return require("p4esp.sha256").expanded(root, info, octets.number(length, 0, #length))
  end,
  psp = function(master, spi, length)
    return require("p4esp.cmac").psp_key(master, spi, octets.number(length, 0, #length))
  end,
}

for line in io.lines(os.getenv("P4ESP_INPUTS")) do
  local words = {}
  for word in line:gmatch("%S+") do
    words[#words + 1] = word == "-" and "" or octets.of_hex(word) or word
  end
  print(octets.hex(CIPHERS[words[1]](words[2], words[3], words[4], words[5])))
end
