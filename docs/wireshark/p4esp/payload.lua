-- What stands in an opened packet: where the payload ends, what it is, whether padding is as it
-- must be. Each function gets a packet of the payload in clear and the opened text, and what
-- `formats.lua` read; it returns offset, length and next header of the payload, and the payload
-- where it does not stand there as it is.

local diet = require "p4esp.diet"
local headers = require "p4esp.headers"
local octets = require "p4esp.octets"

local IPV4, IPV6, NO_NEXT_HEADER = 4, 41, 59
local SHORTEST = { [IPV4] = 20, [IPV6] = 40 }

local payload = {}

local function check_padding(packet, at, length, wanted)
  for place = 1, length do
    if packet.text:byte(at + place) ~= wanted(place) then
      packet:fault("bad_padding", "padding is not what the format says", at, length)
      return
    end
  end
end

local function zero()
  return 0
end

local function itself(place)
  return place % 256
end

--- Zeros at the end.
local function without_zeros(packet, length)
  local at = packet.stop - length
  packet:take_last("padding", length)
  check_padding(packet, at, length, zero)
end

--- RFC 4303 2.4: padding 1, 2, 3, ..., pad length, next header.
function payload.rfc4303(packet, sealed)
  local hidden_at = #sealed.shown
  packet.at = hidden_at
  local next_header = packet:take_last("next_header", 1):byte()
  local length = packet:take_last("pad_len", 1):byte()
  if length > packet:left() then
    packet:refuse("bad_padding", ("pad length %d, %d octets are left"):format(length,
      packet:left()), packet.stop, 1)
  end
  local at = packet.stop - length
  packet:take_last("padding", length)
  check_padding(packet, at, length, itself)
  if sealed.promised and sealed.promised ~= next_header then
    packet:fault("mismatch", ("WESP promised next header %d"):format(sealed.promised),
      packet.stop + length + 1, 1)
  end
  return 0, packet.stop, next_header
end

--- A TIH, in clear or as the first word of the text.
function payload.tih(packet, sealed)
  local start = sealed.tih and 0 or 4
  local tih = sealed.tih or headers.tih(packet)
  packet.at = math.max(start, #sealed.shown)
  if tih.pad_len > packet:left() then
    packet:refuse("bad_padding", ("pad length %d, %d octets are left"):format(tih.pad_len,
      packet:left()))
  end
  without_zeros(packet, tih.pad_len)
  return start, packet.stop - start, tih.next_header
end

--- An IP packet, by its own length.
function payload.inner(packet, sealed)
  local first = packet.text:byte(1) or 0
  local kinds = { [4] = IPV4, [6] = IPV6 }
  local next_header = kinds[math.floor(first / 16)]
  if not next_header or packet:left() < SHORTEST[next_header] then
    packet:refuse("bad_payload", "the text is no IP packet", 0, packet:left())
  end
  local length = next_header == IPV4 and octets.number(packet.text, 2, 2)
    or 40 + octets.number(packet.text, 4, 2)
  if length > packet:left() or length < SHORTEST[next_header] then
    packet:refuse("bad_payload", ("inner packet of %d octets, there are %d"):format(length,
      packet:left()), 0, packet:left())
  end
  if packet:left() - length > sealed.most_padding then
    packet:fault("bad_padding", "more padding than the format has", length)
  end
  without_zeros(packet, packet:left() - length)
  return 0, length, next_header
end

--- Diet-ESP: a residue; the whole inner packet is made of it, and returned as a text.
function payload.diet(packet, sealed)
  if sealed.sa.trailer then
    local _, _, next_header = payload.rfc4303(packet, sealed)
    if next_header == NO_NEXT_HEADER then
      return packet.at, packet:left(), next_header
    end
  end
  local text, next_header = diet.restored(packet, sealed)
  return 0, #text, next_header, text
end

--- PSP: a cookie that is encrypted, then the payload to the end.
function payload.psp(packet, sealed)
  packet:take("psp.cookie", sealed.hidden_cookie)
  return packet.at, packet:left(), sealed.next_header
end

return payload
