-- Diet-ESP (draft-ietf-ipsecme-diet-esp): the low octets of SPI and number, and a SCHC residue in
-- place of the inner headers. What the residue lacks is in the key file: the SA's template, its
-- addresses and ports. The hop limit is the outer one, lengths and checksums are made anew.

local octets = require "p4esp.octets"
local sas = require "p4esp.sas"

local IPV4, IPV6, TCP, UDP = 4, 41, 6, 17

--- The fields of each residue in bits, in their order; 0 to 7 zero bits fill the last octet.
local FIELDS_V4 = { { "ihl", 4 }, { "dscp", 6 }, { "ecn", 2 } }
local FIELDS_V6 = { { "dscp", 6 }, { "ecn", 2 }, { "flow_label", 20 } }

local function residue(first, ...)
  local fields = {}
  for _, field in ipairs(first) do
    fields[#fields + 1] = field
  end
  for _, field in ipairs { ... } do
    fields[#fields + 1] = field
  end
  return fields
end

local FRAGMENT, ID = { "fragment", 16 }, { "identification", 16 }
local PROTOCOL = { "protocol", 8 }
local TEMPLATES = {
  ["udp-v4"] = { version = IPV4, protocol = UDP, fields = residue(FIELDS_V4, FRAGMENT) },
  ["tcp-v4"] = { version = IPV4, protocol = TCP, fields = residue(FIELDS_V4, FRAGMENT) },
  ["host-v4"] = { version = IPV4, fields = residue(FIELDS_V4, ID, FRAGMENT, PROTOCOL) },
  ["site-v4"] = { version = IPV4, fields = residue(FIELDS_V4, ID, FRAGMENT, PROTOCOL,
    { "source", 8 }, { "destination", 8 }) },
  ["udp-v6"] = { version = IPV6, protocol = UDP, fields = FIELDS_V6 },
  ["tcp-v6"] = { version = IPV6, protocol = TCP, fields = FIELDS_V6 },
  ["host-v6"] = { version = IPV6, fields = residue(FIELDS_V6, PROTOCOL) },
  ["site-v6"] = { version = IPV6, fields = residue(FIELDS_V6, PROTOCOL,
    { "source", 64 }, { "destination", 64 }) },
}

local diet = {}

--- Whether there is a template of a name.
function diet.knows(name)
  return TEMPLATES[name] ~= nil
end

--- Whether a template leaves out ports.
function diet.has_ports(name)
  return TEMPLATES[name].protocol ~= nil
end

--- Octets of a template's addresses.
function diet.address_size(name)
  return TEMPLATES[name].version == IPV4 and 4 or 16
end

--- Reads a packet of an SA; returns what `formats.lua` says.
function diet.read(packet, sa, frame, hops)
  packet:take("diet.spi", sa.spi_octets)
  local low = packet:take("diet.sn", sa.sn_octets)
  local made = { sa = sa, trailer = "diet", hops = hops, shown = "", attempts = {} }
  made.key, made.salt = sas.key_of(sa, 0)
  local iv = sa.encryption.iv_size > 0 and packet:take("iv", sa.encryption.iv_size) or nil
  made.icv = packet:take_last("icv", sa.encryption.icv_size)
  made.text = packet:rest("ciphertext")
  local number = octets.number(low, 0, #low)
  for _, candidate in ipairs(sas.candidates(sa, frame, number, 8 * #low)) do
    local sn = octets.of_number(candidate % 2 ^ 32, 4)
    made.attempts[#made.attempts + 1] = { aad = octets.of_number(sa.spi, 4) .. sn,
      iv = iv or octets.zeros(4) .. sn, number = candidate }
  end
  return made
end

--- Bits of a text from a place on; more than 32 are whole octets.
local function bits_of(text, at, count)
  if count > 48 then
    local made = {}
    for place = 0, count - 8, 8 do
      made[#made + 1] = string.char(bits_of(text, at + place, 8))
    end
    return table.concat(made)
  end
  local first = math.floor(at / 8)
  local last = math.floor((at + count - 1) / 8)
  local number = octets.number(text, first, last - first + 1)
  return math.floor(number / 2 ^ (8 * (last + 1) - at - count)) % 2 ^ count
end

--- The values of a residue by name, from the front of a packet.
local function read_residue(packet, template)
  local length = 0
  for _, field in ipairs(template.fields) do
    length = length + field[2]
  end
  local text = packet:take("diet.residue", math.ceil(length / 8))
  local values, at = {}, 0
  for _, field in ipairs(template.fields) do
    values[field[1]] = bits_of(text, at, field[2])
    at = at + field[2]
  end
  if length % 8 > 0 and bits_of(text, length, 8 - length % 8) ~= 0 then
    packet:fault("bad_residue", "the bits that fill the residue are not 0", #text - 1, 1)
  end
  return values
end

--- The Internet checksum of a text (RFC 1071).
local function checksum(text)
  local padded, sum = text .. octets.zeros(#text % 2), 0
  for at = 0, #padded - 1, 2 do
    sum = sum + octets.number(padded, at, 2)
  end
  while sum > 0xffff do
    sum = sum % 0x10000 + math.floor(sum / 0x10000)
  end
  return octets.of_number(0xffff - sum, 2)
end

--- An address of the SA, whose end may be in the residue.
local function address(known, ending)
  if not ending then
    return known
  end
  local text = type(ending) == "number" and octets.of_number(ending, 1) or ending
  return octets.part(known, 0, #known - #text) .. text
end

local function ipv4(values, sealed, length)
  local id = values.identification
  if not id then
    local sn = sealed.number % 0x10000
    id = math.floor(values.fragment / 0x4000) % 2 == 1 and 0 or sn
  end
  local head = octets.of_number(0x40 + values.ihl, 1)
    .. octets.of_number(4 * values.dscp + values.ecn, 1) .. octets.of_number(20 + length, 2)
    .. octets.of_number(id, 2) .. octets.of_number(values.fragment, 2)
    .. octets.of_number(sealed.hops, 1) .. octets.of_number(values.protocol, 1)
  local addresses = values.source .. values.destination
  return head .. checksum(head .. addresses) .. addresses
end

local function ipv6(values, sealed, length)
  local word = 0x60000000 + (4 * values.dscp + values.ecn) * 2 ^ 20 + values.flow_label
  return octets.of_number(word, 4) .. octets.of_number(length, 2)
    .. octets.of_number(values.protocol, 1) .. octets.of_number(sealed.hops, 1)
    .. values.source .. values.destination
end

--- The header of UDP or TCP, and its payload.
local function layer4(packet, sa, values)
  local ports = octets.of_number(sa.inner_source_port, 2)
    .. octets.of_number(sa.inner_destination_port, 2)
  local before, behind
  if values.protocol == TCP then
    before = ports .. packet:take("diet.tcp", 12)
    behind = packet:take("diet.urgent", 2) .. packet:rest("payload")
  else
    before = ports .. octets.of_number(8 + packet:left(), 2)
    behind = packet:rest("payload")
  end
  local pseudo = values.source .. values.destination
    .. octets.of_number(values.protocol, 4) .. octets.of_number(#before + 2 + #behind, 4)
  local sum = checksum(pseudo .. before .. "\0\0" .. behind)
  if values.protocol == UDP and sum == "\0\0" then
    sum = "\255\255"
  end
  return before .. sum .. behind
end

--- The inner packet that a payload was, and its next header. The SA's trailer is taken off already.
function diet.restored(packet, sealed)
  local sa = sealed.sa
  local template = TEMPLATES[sa.template]
  local values = read_residue(packet, template)
  if values.ihl and values.ihl ~= 5 then
    packet:refuse("bad_residue", ("header length %d; the template has 5"):format(values.ihl), 0, 1)
  end
  values.source = address(sa.inner_source, values.source)
  values.destination = address(sa.inner_destination, values.destination)
  local behind
  if template.protocol then
    values.protocol = template.protocol
    behind = layer4(packet, sa, values)
  else
    behind = packet:rest("payload")
  end
  local head = (template.version == IPV4 and ipv4 or ipv6)(values, sealed, #behind)
  return head .. behind, template.version
end

return diet
