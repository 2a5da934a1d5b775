-- How a packet of each format is read, and what its ICV covers. A reader gets the packet, its SA,
-- the number of the sub SA and that of the frame, and what the headers in front of ESP said.
-- It returns what is needed to open the packet:
--
--   attempts     { aad, iv, number }: what to try, for a packet may have the low bits of its number
--   text, icv    ciphertext and check value; `shown`: the payload in clear in front of the text
--   trailer      who tells the payload from the padding, a name in `payload.lua`
--   tih          the TIH, where it is in clear; next_header: where a header in front has it
--   barred       whether its ID is above the SA's limit: it has no key, and is not opened

local octets = require "p4esp.octets"
local headers = require "p4esp.headers"
local sas = require "p4esp.sas"

local HIDDEN_NEXT_HEADER = 59

local formats = {}

--- SPI and number of ESP, as the AAD has them: with the high half of ESN there is a choice.
local function esp_heads(packet, sa, frame)
  local spi, sn = packet:take("spi", 4), packet:take("sn", 4)
  if not sa.esn then
    return { { text = spi .. sn, implicit = octets.zeros(4) .. sn } }
  end
  local heads = {}
  for _, number in ipairs(sas.candidates(sa, frame, octets.number(sn, 0, 4), 32)) do
    local whole = octets.of_number(number, 8)
    heads[#heads + 1] = { text = spi .. whole, implicit = whole, number = number }
  end
  return heads
end

--- The explicit IV, or nil.
local function explicit_iv(packet, sa)
  return sa.encryption.iv_size > 0 and packet:take("iv", sa.encryption.iv_size) or nil
end

--- What is sent in clear of the payload.
local function shown_part(packet, length)
  return packet:take("shown", length)
end

--- The rest of a packet; `made` has heads, iv, what stands in the AAD before and behind the head,
--- and what a reader returns besides.
local function finished(packet, sa, sub, made)
  made.sa, made.shown = sa, made.shown or ""
  if not made.barred then
    made.key, made.salt = sas.key_of(sa, sub)
  end
  made.icv = made.icv or packet:take_last("icv", sa.encryption.icv_size)
  made.text = packet:rest(sa.encryption.hides and "ciphertext" or "payload")
  local behind = made.behind or ""
  if not sa.encryption.hides then
    behind = (made.iv or "") .. made.text
  end
  made.attempts = {}
  for place, head in ipairs(made.heads) do
    made.attempts[place] = { aad = (made.before or "") .. head.text .. behind,
      iv = made.iv or head.implicit, number = head.number }
  end
  return made
end

--- Whether an ID is above the last one: its receiver drops it.
local function is_barred(packet, sa, sub, at)
  if sub < sa.subs then
    return false
  end
  packet:fault("out_of_range", ("ID %d; the SA has 0 to %d"):format(sub, sa.subs - 1), at, 2)
  return true
end

--- RFC 4303.
formats["esp"] = function(packet, sa, sub, frame)
  local heads = esp_heads(packet, sa, frame)
  local iv = explicit_iv(packet, sa)
  return finished(packet, sa, sub, { heads = heads, iv = iv, trailer = "rfc4303" })
end
formats["spi-block"] = formats["esp"]

--- A sub ID, or the ID of a subspace, and a number of 48 bits.
formats["subspaces"] = function(packet, sa, _, _)
  local spi, at = packet:take("spi", 4), packet.at
  local id, sn = packet:take("sub_id", 2), packet:take("sn", 6)
  local sub = octets.number(id, 0, 2)
  local barred = is_barred(packet, sa, sub, at)
  local heads = { { text = spi .. id .. sn, implicit = id .. sn } }
  local iv = explicit_iv(packet, sa)
  return finished(packet, sa, sub,
    { heads = heads, iv = iv, trailer = "rfc4303", barred = barred })
end
formats["sub-child"] = formats["subspaces"]

--- The TIH is the first word of the text.
formats["trailer-in-header"] = function(packet, sa, sub, frame)
  local heads = esp_heads(packet, sa, frame)
  local iv = explicit_iv(packet, sa)
  return finished(packet, sa, sub, { heads = heads, iv = iv, trailer = "tih" })
end

--- The TIH stands in clear behind the IV, perhaps with octets of the payload behind it.
formats["trailer-in-clear"] = function(packet, sa, sub, frame)
  local heads = esp_heads(packet, sa, frame)
  local at = packet.at
  local made = { heads = heads, iv = explicit_iv(packet, sa), trailer = "tih" }
  made.tih = headers.tih(packet)
  made.shown = shown_part(packet, sa.shown)
  made.behind = octets.part(packet.text, at, packet.at - at)
  return finished(packet, sa, sub, made)
end
formats["crypt-offset-shown"] = formats["trailer-in-clear"]

--- An IP packet and zeros.
formats["no-trailer"] = function(packet, sa, sub, frame)
  local heads = esp_heads(packet, sa, frame)
  local iv = explicit_iv(packet, sa)
  return finished(packet, sa, sub,
    { heads = heads, iv = iv, trailer = "inner", most_padding = 3 })
end

--- All of it stands at the end: TIH, SPI, number.
formats["header-in-trailer"] = function(packet, sa, sub)
  local icv = packet:take_last("icv", sa.encryption.icv_size)
  local stop = packet.stop
  packet.at = math.max(stop - 16, 0)
  local start = packet.at
  local tih = headers.tih(packet)
  local spi, sn = packet:take("spi", 4), packet:take("sn", 8)
  packet.at, packet.stop = 0, start
  local heads = { { text = octets.part(packet.text, start, 4) .. spi .. sn, implicit = sn } }
  return finished(packet, sa, sub, { heads = heads, icv = icv, tih = tih, trailer = "tih" })
end

--- Octets of the payload in clear behind the IV.
formats["crypt-offset"] = function(packet, sa, sub, frame)
  local heads = esp_heads(packet, sa, frame)
  local at = packet.at
  local made = { heads = heads, iv = explicit_iv(packet, sa), trailer = "rfc4303" }
  made.shown = shown_part(packet, sa.shown)
  made.behind = octets.part(packet.text, at, packet.at - at)
  return finished(packet, sa, sub, made)
end

--- What a WESP header says must be so: nothing else protects version 1.
local function check_wesp(packet, sa, wesp, length)
  if wesp.encrypted ~= sa.encryption.hides then
    packet:fault("mismatch", "the SA says otherwise of encryption", 3, 1)
  end
  local stated = not wesp.encrypted or wesp.version > 0
  if stated and wesp.hdr_len ~= length then
    packet:fault("bad_length", ("header length %d; it is %d"):format(wesp.hdr_len, length), 1, 1)
  end
  if not wesp.encrypted and wesp.trailer_len ~= sa.encryption.icv_size then
    local wanted = sa.encryption.icv_size
    local stated = ("trailer length %d; it is %d"):format(wesp.trailer_len, wanted)
    packet:fault("bad_length", stated, 2, 1)
  end
end

--- RFC 5840: an ESP packet as it is.
formats["wesp"] = function(packet, sa, sub, frame, wesp)
  local heads = esp_heads(packet, sa, frame)
  local iv = explicit_iv(packet, sa)
  check_wesp(packet, sa, wesp, packet.at)
  local promised = not wesp.encrypted and wesp.next_header or nil
  return finished(packet, sa, sub,
    { heads = heads, iv = iv, trailer = "rfc4303", promised = promised })
end

--- The header of WESPv2 is authenticated, and says how much is in clear.
formats["wesp-v2"] = function(packet, sa, sub, frame, wesp)
  local before = packet:front()
  local heads = esp_heads(packet, sa, frame)
  local at = packet.at
  local made = { heads = heads, iv = explicit_iv(packet, sa), trailer = "rfc4303" }
  check_wesp(packet, sa, wesp, packet.at)
  made.shown = shown_part(packet, wesp.crypt_offset)
  made.before, made.behind = before, octets.part(packet.text, at, packet.at - at)
  if wesp.crypt_offset > 0 then
    made.promised = wesp.next_header
  elseif wesp.next_header ~= HIDDEN_NEXT_HEADER then
    packet:fault("mismatch", "next header is 59 when all is encrypted", 0, 1)
  end
  return finished(packet, sa, sub, made)
end

--- The Peer Header of EESP: number and IV, where the SA has them.
local function peer_header(packet, sa, eesp)
  local made = {}
  if eesp.session_id > 0 and not sa.root then
    packet:fault("out_of_range", "the SA has no sub SAs", 2, 2)
    made.barred = true
  else
    made.barred = is_barred(packet, sa, eesp.session_id, 2)
  end
  if sa.numbered then
    made.implicit = packet:take("sn", 8)
  end
  made.iv = explicit_iv(packet, sa)
  return made
end

--- What is told by a Crypt Offset option must be so.
local function check_offset(packet, sa, offset)
  if offset.payload_offset ~= packet.at then
    packet:fault("bad_option", ("Payload Offset %d; the payload begins at %d"):format(
      offset.payload_offset / 4, packet.at / 4), offset.at, 4)
  end
  if offset.crypt_offset > sa.shown then
    packet:fault("out_of_range", ("CryptOffset %d; at most %d"):format(
      offset.crypt_offset / 4, sa.shown / 4), offset.at, 4)
  end
end

--- draft-ietf-ipsecme-eesp: an IP packet and zeros.
formats["eesp-optimized"] = function(packet, sa, _, _, eesp)
  if eesp.offset then
    packet:fault("bad_option", "the optimized format has no crypt offset", eesp.offset.at, 4)
  end
  local peer = peer_header(packet, sa, eesp)
  local heads = { { text = packet:front(), implicit = peer.implicit } }
  return finished(packet, sa, eesp.session_id,
    { heads = heads, iv = peer.iv, trailer = "inner", most_padding = 255, barred = peer.barred })
end

--- With a payload info header, in clear when the crypt offset reaches over it.
formats["eesp-full"] = function(packet, sa, _, _, eesp)
  local peer = peer_header(packet, sa, eesp)
  local made = { iv = peer.iv, trailer = "tih", barred = peer.barred }
  if eesp.offset then
    check_offset(packet, sa, eesp.offset)
  end
  local offset = eesp.offset and eesp.offset.crypt_offset or 0
  if offset > 0 then
    made.tih = headers.tih(packet)
    made.shown = shown_part(packet, offset - 4)
  end
  made.heads = { { text = packet:front(), implicit = peer.implicit } }
  return finished(packet, sa, eesp.session_id, made)
end

return formats
