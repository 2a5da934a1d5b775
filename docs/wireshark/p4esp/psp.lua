-- PSP: no SA is needed, the key follows from the SPI; versions 2 and 3 hide nothing.

local octets = require "p4esp.octets"
local headers = require "p4esp.headers"
local sas = require "p4esp.sas"

local ICV = 16
local COOKIE = 8
local KEY_SIZES = { [0] = 16, [1] = 32, [2] = 16, [3] = 32 }

local psp = {}

--- Reads a packet; returns what `formats.lua` says.
function psp.read(packet, all, addresses)
  local header = headers.psp(packet)
  local hides = header.version < 2
  local start = packet.at
  local made = { trailer = "psp", next_header = header.next_header, shown = "", hidden_cookie = 0 }
  if header.cookie and hides and header.offset < COOKIE then
    made.hidden_cookie = COOKIE
    made.shown = packet:take("shown", header.offset)
  else
    packet:take("psp.cookie", header.cookie and COOKIE or 0)
    made.shown = packet:take("shown", math.max(start + header.offset - packet.at, 0))
  end
  made.icv = packet:take_last("icv", ICV)
  local aad = packet:front()
  made.text = packet:rest(hides and "ciphertext" or "payload")
  made.encryption = { mode = "gcm", hides = hides }
  made.attempts = { { aad = aad .. (hides and "" or made.text), iv = header.iv } }
  made.key = sas.psp_key(all, addresses, header.spi, KEY_SIZES[header.version])
  made.salt = header.spi
  return made
end

return psp
