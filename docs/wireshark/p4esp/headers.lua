-- Headers that anybody can read: WESP, EESP, PSP, and the trailer information header (TIH), which
-- EESP calls payload information header.

local octets = require "p4esp.octets"

local TIH = {
  { "tih.zero", 0, 2 }, { "tih.reserved", 0, 2 }, { "next_header", 2, 1 }, { "pad_len", 3, 1 },
}
local WESP = {
  { "wesp.next_header", 0, 1 }, { "wesp.hdr_len", 1, 1 }, { "wesp.trailer_len", 2, 1 },
  { "wesp.version", 3, 1 }, { "wesp.encrypted", 3, 1 }, { "wesp.padded", 3, 1 },
  { "wesp.reserved", 3, 1 },
}
local WESP_V2 = {
  { "wesp.next_header", 0, 1 }, { "wesp.hdr_len", 1, 1 }, { "wesp.crypt_offset", 2, 1 },
  { "wesp.reserved_v2", 2, 1 }, { "wesp.version", 3, 1 }, { "wesp.opt_len", 3, 1 },
}
local EESP = {
  { "eesp.one", 0, 1 }, { "eesp.version", 0, 1 }, { "eesp.reserved", 0, 1 },
  { "eesp.opt_len", 1, 1 }, { "eesp.session_id", 2, 2 }, { "spi", 4, 4 },
}
local PSP = {
  { "psp.next_header", 0, 1 }, { "psp.hdr_ext_len", 1, 1 }, { "psp.reserved", 2, 1 },
  { "psp.crypt_offset", 2, 1 }, { "psp.sample", 3, 1 }, { "psp.drop", 3, 1 },
  { "psp.version", 3, 1 }, { "psp.cookie_present", 3, 1 }, { "psp.one", 3, 1 }, { "spi", 4, 4 },
  { "iv", 8, 8 },
}
local OPTION = { { "option.type", 0, 1 }, { "option.len", 1, 1 } }
local CRYPT_OFFSET = {
  OPTION[1], OPTION[2], { "eesp.payload_offset", 2, 2 }, { "eesp.crypt_offset", 2, 2 },
  { "eesp.reserved_offset", 2, 2 },
}
local PAD1, PADN, OFFSET = 0, 1, 2

local headers = {}

--- Next header and pad length of a TIH; the reserved bits must be 0.
function headers.tih(packet)
  local at = packet.at
  local text = packet:take("tih", 4, TIH)
  if octets.number(text, 0, 2) ~= 0 then
    packet:fault("bad_reserved", "zero and reserved bits of the TIH are not 0", at, 2)
  end
  return { next_header = text:byte(3), pad_len = text:byte(4) }
end

--- Version 1 or 2 by the version bits of a WESP header; others are refused.
function headers.wesp(packet)
  if packet:left() < 4 then
    packet:rest("wesp")
    packet:refuse("truncated", "WESP header: 4 octets are needed")
  end
  local version = math.floor(packet.text:byte(packet.at + 4) / 64)
  if version == 0 then
    return headers.wesp_v1(packet)
  elseif version == 1 then
    return headers.wesp_v2(packet)
  end
  packet:take("wesp", 4, WESP_V2)
  return packet:refuse("bad_version", ("WESP version %d; known: 0, 1"):format(version), 3, 1)
end

--- RFC 5840 2.
function headers.wesp_v1(packet)
  local text = packet:take("wesp", 4, WESP)
  local next_header, header, trailer, flags = text:byte(1, 4)
  local encrypted, padded = flags % 64 >= 32, flags % 32 >= 16
  if flags % 16 ~= 0 then
    packet:fault("bad_reserved", "reserved bits are not 0", 3, 1)
  end
  if encrypted and (next_header ~= 0 or header ~= 0 or trailer ~= 0) then
    packet:fault("bad_length", "next header and lengths are 0 when ESP is encrypted", 0, 3)
  end
  if padded then
    packet:take("wesp.padding", 4)
  end
  return { version = 0, next_header = next_header, hdr_len = header, trailer_len = trailer,
    encrypted = encrypted, crypt_offset = 0 }
end

--- draft-klassert-ipsecme-wespv2.
function headers.wesp_v2(packet)
  local text = packet:take("wesp", 4, WESP_V2)
  local next_header, header, offset, flags = text:byte(1, 4)
  if offset % 4 ~= 0 then
    packet:fault("bad_reserved", "reserved bits are not 0", 2, 1)
  end
  headers.options(packet, flags % 64)
  return { version = 1, next_header = next_header, hdr_len = header, encrypted = true,
    crypt_offset = offset - offset % 4 }
end

--- Options of `length` octets: the Crypt Offset option of EESP, if `eesp` and if there is one.
function headers.options(packet, length, eesp)
  local stop, told = packet.at + length, nil
  if length > packet:left() then
    local kind = packet.cut and "cut" or "bad_option"
    packet:refuse(kind, ("options of %d octets, %d are left"):format(length, packet:left()))
  end
  while packet.at < stop do
    told = headers.option(packet, stop, eesp) or told
  end
  return told
end

--- One option; those that are not known are skipped, as a middlebox does.
function headers.option(packet, stop, eesp)
  local at = packet.at
  local kind, length = packet.text:byte(at + 1, at + 2)
  if kind == PAD1 then
    packet:take("option.type", 1)
    return nil
  elseif at + 2 > stop or at + 2 + length > stop then
    packet:refuse("bad_option", "an option is longer than the options", at, stop - at)
  elseif kind == OFFSET and eesp and length >= 2 then
    return headers.crypt_offset(packet, length)
  end
  packet:take("option", 2 + length, { OPTION[1], OPTION[2],
    length > 0 and { "option.data", 2, length } or nil })
  if kind ~= PADN then
    local stated = ("option %d of %d octets is not known"):format(kind, length)
    packet:fault("bad_option", stated, at, 2)
  end
  return nil
end

--- EESP: where the payload begins, and how much of it is in clear.
function headers.crypt_offset(packet, length)
  local at = packet.at
  local text = packet:take("option", 2 + length, CRYPT_OFFSET)
  if length ~= 2 then
    packet:fault("bad_option", ("Crypt Offset of %d octets; known: 2"):format(length), at, 2)
  end
  local word = octets.number(text, 2, 2)
  return { payload_offset = 4 * math.floor(word / 1024),
    crypt_offset = 4 * math.floor(word % 1024 / 16), at = at }
end

--- Base header and options (draft-ietf-ipsecme-eesp 2).
function headers.eesp(packet)
  local text = packet:take("eesp", 8, EESP)
  local first, length = text:byte(1, 2)
  if first < 128 then
    packet:refuse("bad_version", "the first bit of EESP is 1", 0, 1)
  elseif first % 128 >= 8 then
    local version = math.floor(first % 128 / 8)
    packet:refuse("bad_version", ("EESP version %d; known: 0"):format(version), 0, 1)
  elseif first % 8 ~= 0 then
    packet:fault("bad_reserved", "reserved bits are not 0", 0, 1)
  end
  local offset = headers.options(packet, length, true)
  return { session_id = octets.number(text, 2, 2), spi = octets.number(text, 4, 4),
    offset = offset }
end

--- Base header and virtualization cookie (PSP Architecture Specification).
function headers.psp(packet)
  local text = packet:take("psp", 16, PSP)
  local next_header, extended, offset, flags = text:byte(1, 4)
  local version, cookie = math.floor(flags % 64 / 4), flags % 4 >= 2
  if flags % 2 == 0 then
    packet:refuse("bad_version", "the last bit of octet 3 is 1", 3, 1)
  elseif version > 3 then
    packet:refuse("bad_version", ("PSP version %d; known: 0 to 3"):format(version), 3, 1)
  end
  if offset >= 64 then
    packet:fault("bad_reserved", "reserved bits are not 0", 2, 1)
  end
  if extended ~= (cookie and 2 or 1) then
    packet:fault("bad_length", "header extension length and cookie do not agree", 1, 3)
  end
  return { next_header = next_header, offset = offset % 64 * 4, version = version,
    cookie = cookie, spi = octets.part(text, 4, 4), iv = octets.part(text, 8, 8) }
end

return headers
