-- A Wireshark dissector for the packet formats of p4esp that Wireshark does not know. It checks the
-- ICV and decrypts with a key file that p4esp writes. See docs/dissector.md.
--
--   tshark -X lua_script:docs/wireshark/p4esp.lua -o p4esp.keys:FILE -r CAPTURE

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"
package.path = here .. "?.lua;" .. package.path

local dissect = require "p4esp.dissect"
local echo = require "p4esp.echo"
local fields = require "p4esp.fields"
local keyfile = require "p4esp.keyfile"
local octets = require "p4esp.octets"
local opening = require "p4esp.opening"
local packets = require "p4esp.packet"
local payload = require "p4esp.payload"
local tree = require "p4esp.tree"

local WESP_MARKER, NO_NEXT_HEADER, AGGFRAG = 2, 59, 144

local p4esp = Proto("p4esp", "ESP formats of p4esp")
for _, field in pairs(fields.fields) do
  p4esp.fields[#p4esp.fields + 1] = field
end
for _, item in pairs(fields.experts) do
  p4esp.experts[#p4esp.experts + 1] = item
end
p4esp.prefs.keys = Pref.string("Key file", "", "The file p4esp_sa that p4esp writes")

local versions = {
  { hops = Field.new("ip.ttl"), source = Field.new("ip.src") },
  { hops = Field.new("ipv6.hlim"), source = Field.new("ipv6.src") },
}
local protocols, ports = DissectorTable.get("ip.proto"), DissectorTable.get("udp.port")
-- Those that ours take the place of.
local stock_esp, stock_udp = protocols:get_dissector(50), ports:get_dissector(4500)
local keys = { sas = {}, faults = {} }

--- Octets as Wireshark has an address; its text may be a name.
local function address_of(text)
  if not text then
    return nil
  elseif #text == 4 then
    return Address.ip(table.concat({ text:byte(1, 4) }, "."))
  end
  return Address.ipv6(octets.hex(text):gsub("%x%x%x%x", "%0:"):sub(1, -2))
end

function p4esp.init()
  opening.forget()
  keys.sas, keys.faults = keyfile.read(p4esp.prefs.keys)
  for _, sa in ipairs(keys.sas) do
    sa.source, sa.destination = address_of(sa.source), address_of(sa.destination)
  end
end

--- The hop limit of the header around us: of the version there is, or whose last source is ours.
local function hops_of(pinfo)
  local found = 0
  for _, version in ipairs(versions) do
    local hops, sources = { version.hops() }, { version.source() }
    found = #hops > 0 and hops[#hops].value or found
    if #sources > 0 and sources[#sources].value == pinfo.net_src then
      break
    end
  end
  return found
end

local function context_of(pinfo)
  local addresses = { source = pinfo.net_src, destination = pinfo.net_dst }
  return { sas = keys.sas, addresses = addresses, frame = pinfo.number, hops = hops_of(pinfo) }
end

--- What one of Wireshark's dissectors reads: one that throws has shown what is malformed.
local function stock(dissector, tvb, pinfo, root)
  local done, count = pcall(dissector.call, dissector, tvb, pinfo, root)
  return done and count or tvb:captured_len()
end

--- An echo in an AGGFRAG payload.
local function show_echo(tvb, pinfo, root)
  local packet = packets.new(tvb:raw())
  packets.attempt(echo.read, packet)
  pinfo.cols.info = "encrypted ESP ping"
  tree.show(root:add(p4esp, tvb(), "Encrypted ESP ping"), tvb, packet)
end

--- Hands a payload to who knows its next header.
local function hand_over(tvb, next_header, pinfo, root)
  if next_header == NO_NEXT_HEADER or tvb:len() == 0 then
    return
  elseif next_header == AGGFRAG and echo.is_echo(tvb:raw(0, 1)) then
    show_echo(tvb, pinfo, root)
    return
  end
  stock(protocols:get_dissector(next_header) or Dissector.get("data"), tvb, pinfo, root)
end

local function tvb_of(text, name)
  return ByteArray.new(text, true):tvb(name)
end

--- The inner packet, in its bytes and by who knows it.
local function show_inner(branch, tvb, offset, length, next_header, pinfo, root)
  if length > 0 then
    branch:add(fields.fields.inner, tvb(offset, length))
    hand_over(tvb(offset, length):tvb(), next_header, pinfo, root)
  end
end

--- What stands in an opened packet.
local function show_text(branch, sealed, text, pinfo, root)
  local whole = sealed.shown .. text
  local packet = packets.new(whole)
  local found = packets.attempt(function()
    return { payload[sealed.trailer](packet, sealed) }
  end)
  local tvb = #whole > 0 and tvb_of(whole, "Decrypted")
  tree.show(branch, tvb, packet)
  if not found then
    return
  end
  local offset, length, next_header, restored = found[1], found[2], found[3], found[4]
  local inner = restored and tvb_of(restored, "Restored") or tvb
  show_inner(branch, inner, offset, length, next_header, pinfo, root)
end

local function show_opened(branch, sealed, pinfo, root)
  if sealed.barred then
    return
  elseif not sealed.key then
    tree.fault(branch, "no_key", "the key file has no key for this packet")
    return
  end
  local text = opening.opened(sealed, pinfo.number)
  tree.fact(branch, "icv_good", text ~= nil)
  if not text then
    tree.fault(branch, "bad_icv", "the ICV is wrong, or the key is")
    return
  end
  if sealed.number then
    tree.fact(branch, "recovered_sn", UInt64.new(sealed.number % 2 ^ 32,
      math.floor(sealed.number / 2 ^ 32)))
  end
  show_text(branch, sealed, text, pinfo, root)
end

--- What every packet is shown by, once it is read.
local function show(name, result, packet, tvb, pinfo, root)
  local branch = root:add(p4esp, tvb(), name)
  pinfo.cols.protocol = name
  pinfo.cols.info = result.format and "format " .. result.format or ""
  for _, fault in ipairs(keys.faults) do
    tree.fault(branch, "key_file", fault)
  end
  if result.format then
    branch:append_text(", format " .. result.format)
    tree.fact(branch, "format", result.format)
  end
  tree.show(branch, tvb, packet)
  if result.sealed then
    show_opened(branch, result.sealed, pinfo, root)
  elseif result.visible then
    local visible = result.visible
    show_inner(branch, tvb, visible[1], visible[2], visible[3], pinfo, root)
  end
end

--- A dissector of one of the headers that `dissect` reads.
local function dissector_of(name, reader)
  return function(tvb, pinfo, root)
    local cut = tvb:captured_len() < tvb:reported_len()
    local packet = packets.new(tvb:raw(), cut)
    local result = packets.attempt(reader, packet, context_of(pinfo)) or {}
    if not (result.stock and #keys.sas + #keys.faults == 0) then
      show(result.name or name, result, packet, tvb, pinfo, root)
    end
    if result.stock then
      stock(stock_esp, tvb, pinfo, root)
    end
    return tvb:captured_len()
  end
end

--- A part of ours that stands in a table of dissectors.
local function register(name, title, dissector, dissectors, number)
  local part = Proto(name, title)
  part.dissector = dissector
  dissectors:add(number, part)
end

local esp, wesp = dissector_of("ESP", dissect.esp), dissector_of("WESP", dissect.wesp)

--- UDP port 4500 (RFC 3948, RFC 5840 2.1): what is not ESP of ours goes where it always went.
local function esp_in_udp(tvb, pinfo, root)
  local first = tvb:captured_len() >= 4 and octets.number(tvb:raw(0, 4), 0, 4) or 0
  if first == 0 or #keys.sas + #keys.faults == 0 then
    return stock(stock_udp, tvb, pinfo, root)
  elseif first == WESP_MARKER and tvb:captured_len() > 4 then
    return 4 + wesp(tvb(4):tvb(), pinfo, root)
  end
  return esp(tvb, pinfo, root)
end

register("p4esp_esp", "ESP in a format of p4esp", esp, protocols, 50)
register("p4esp_wesp", "Wrapped ESP", wesp, protocols, 141)
register("p4esp_eesp", "Enhanced ESP", dissector_of("EESP", dissect.eesp), protocols, 253)
register("p4esp_end", "ESP with its header in the trailer",
  dissector_of("ESP", dissect.at_the_end), protocols, 254)
register("p4esp_psp", "PSP", dissector_of("PSP", dissect.psp), ports, 1000)
register("p4esp_udp", "ESP in UDP, in a format of p4esp", esp_in_udp, ports, 4500)
