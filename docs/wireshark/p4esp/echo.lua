-- Echo requests and replies: in clear under SPI 7 and 8 (draft-ietf-ipsecme-esp-ping), and in
-- AGGFRAG payloads of an SA (draft-ietf-ipsecme-encrypted-esp-ping).

local octets = require "p4esp.octets"

local REQUEST, RESPONSE = 2, 3
local SUB_TYPES = { [7] = REQUEST, [8] = RESPONSE }
local EMPTY = "\1\2\2\59"

local echo = {}

--- Whether an SPI is that of a ping.
function echo.is_ping(spi)
  return SUB_TYPES[spi] ~= nil
end

--- Whether an AGGFRAG payload is an echo, by its first octet.
function echo.is_echo(text)
  local sub_type = text:byte(1)
  return sub_type == REQUEST or sub_type == RESPONSE
end

--- A ping in clear, or one of draft-colitti-esp-ping without payload.
function echo.read_ping(packet)
  local spi = octets.number(packet:take("spi", 4), 0, 4)
  packet:take("sn", 4)
  if octets.part(packet.text, packet.at) == EMPTY then
    packet:take("padding", 2)
    packet:take("pad_len", 1)
    packet:take("next_header", 1)
    return
  end
  local sub_type = echo.read(packet)
  if sub_type ~= SUB_TYPES[spi] then
    packet:fault("mismatch", ("sub-type %d under SPI %d"):format(sub_type, spi), 8, 1)
  end
end

--- The echo itself; its sub-type.
function echo.read(packet)
  local at = packet.at
  local head = packet:take("echo", 8, {
    { "echo.sub_type", 0, 1 }, { "echo.return_path", 1, 1 }, { "echo.reserved", 1, 1 },
    { "echo.data_len", 2, 2 }, { "echo.identifier", 4, 2 }, { "echo.sequence", 6, 2 },
  })
  local sub_type, flags = head:byte(1, 2)
  if not echo.is_echo(head) then
    packet:fault("bad_version", ("sub-type %d; known: 2, 3"):format(sub_type), at, 1)
  end
  if flags % 128 ~= 0 then
    packet:fault("bad_reserved", "reserved bits are not 0", at + 1, 1)
  end
  if flags >= 128 then
    packet:take("echo.return_spi", 4)
  end
  local length = octets.number(head, 2, 2)
  if length > packet:left() then
    packet:refuse("bad_length", ("%d octets of data, %d are left"):format(length, packet:left()),
      at + 2, 2)
  end
  packet:take("echo.data", length)
  return sub_type
end

return echo
