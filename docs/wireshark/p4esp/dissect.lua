-- From octets to what was found in them, by IP protocol or UDP port. Nothing here knows Wireshark.
--
-- A context has: sas, of the key file; addresses, source and destination outside, to compare
-- with those of the SAs; frame, its number; hops, the hop limit outside. Results have: name, of the
-- protocol; format, where it is known; sealed, what is to be opened, or nil; stock, whether
-- Wireshark's own dissector is to read it; visible, a payload that nothing hides, as offset, length
-- and next header.

local diet = require "p4esp.diet"
local echo = require "p4esp.echo"
local formats = require "p4esp.formats"
local headers = require "p4esp.headers"
local octets = require "p4esp.octets"
local packets = require "p4esp.packet"
local psp = require "p4esp.psp"
local sas = require "p4esp.sas"

local function set(...)
  local made = {}
  for _, name in ipairs { ... } do
    made[name] = true
  end
  return made
end

local UNDER_ESP = set("esp", "spi-block", "sub-child", "subspaces", "trailer-in-header",
  "trailer-in-clear", "crypt-offset-shown", "no-trailer", "crypt-offset")
local AT_THE_END = set("header-in-trailer")
local UNDER_WESP = { [0] = set("wesp"), [1] = set("wesp-v2") }
local UNDER_EESP = set("eesp-optimized", "eesp-full")
local SEALED_AT_THE_END = 28

local dissect = {}

local function no_sa(packet, spi)
  packet:fault("no_sa", ("the key file has no SA with SPI 0x%08x here"):format(spi))
end

local function read_by(sa, packet, ...)
  return formats[sa.format](packet, sa, ...)
end

--- IP protocol 50, and UDP port 4500 without marker.
function dissect.esp(packet, context)
  local text = packet.text
  local small = sas.of_diet(context.sas, context.addresses, text)
  if small then
    return { name = "Diet-ESP", format = small.format,
      sealed = diet.read(packet, small, context.frame, context.hops) }
  end
  local spi = #text >= 4 and octets.number(text, 0, 4)
  if spi and echo.is_ping(spi) then
    packets.attempt(echo.read_ping, packet)
    return { name = "ESP ping" }
  end
  local sa, sub
  if spi then
    sa, sub = sas.of_spi(context.sas, context.addresses, spi, UNDER_ESP)
  end
  if not sa then
    packet:fault("no_sa", "the key file has no SA for this packet")
    return { name = "ESP", stock = true }
  end
  return { name = "ESP", format = sa.format, sealed = read_by(sa, packet, sub, context.frame) }
end

--- IP protocol 254: SPI and number stand in front of the ICV.
function dissect.at_the_end(packet, context)
  if packet.cut then
    packet:refuse("cut", "the capture has no more of it")
  end
  local at = #packet.text - SEALED_AT_THE_END
  if at < 4 then
    packet:refuse("truncated", ("%d octets, 33 are needed"):format(#packet.text))
  end
  local spi = octets.number(packet.text, at, 4)
  local sa = sas.of_spi(context.sas, context.addresses, spi, AT_THE_END)
  if not sa then
    no_sa(packet, spi)
    packet:rest("payload")
    return { name = "ESP" }
  end
  return { name = "ESP", format = sa.format, sealed = read_by(sa, packet, 0, context.frame) }
end

--- What WESP shows without a key: payload, padding, pad length, next header, ICV.
local function visible_wesp(packet, wesp)
  if wesp.encrypted or packet.cut then
    return nil
  end
  local start, stop = wesp.hdr_len, #packet.text - wesp.trailer_len
  if start < packet.at or start + 2 > stop then
    packet:fault("bad_length", "there is no payload between header and trailer", 1, 2)
    return nil
  end
  local pad, next_header = packet.text:byte(stop - 1, stop)
  if next_header ~= wesp.next_header or start + pad + 2 > stop then
    packet:fault("mismatch", "header and trailer do not agree", 0, 3)
    return nil
  end
  return { start, stop - 2 - pad - start, next_header }
end

--- IP protocol 141.
function dissect.wesp(packet, context)
  local wesp = headers.wesp(packet)
  local spi = packet:left() >= 4 and octets.number(packet.text, packet.at, 4)
  local sa, sub
  if spi then
    sa, sub = sas.of_spi(context.sas, context.addresses, spi, UNDER_WESP[wesp.version])
  end
  if sa then
    local sealed = read_by(sa, packet, sub, context.frame, wesp)
    return { name = "WESP", format = sa.format, sealed = sealed }
  end
  packet:take("spi", 4)
  packet:take("sn", 4)
  no_sa(packet, spi)
  local visible = visible_wesp(packet, wesp)
  packet:rest(wesp.encrypted and "ciphertext" or "payload")
  return { name = "WESP", visible = visible }
end

--- IP protocol 253.
function dissect.eesp(packet, context)
  local eesp = headers.eesp(packet)
  local sa, sub = sas.of_spi(context.sas, context.addresses, eesp.spi, UNDER_EESP)
  if sa then
    local sealed = read_by(sa, packet, sub, context.frame, eesp)
    return { name = "EESP", format = sa.format, sealed = sealed }
  end
  no_sa(packet, eesp.spi)
  packet:rest("payload")
  return { name = "EESP" }
end

--- UDP port 1000.
function dissect.psp(packet, context)
  return { name = "PSP", format = "psp", sealed = psp.read(packet, context.sas, context.addresses) }
end


return dissect
