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

local hop_limits = { IPv4 = Field.new("ip.ttl"), IPv6 = Field.new("ipv6.hlim") }
local protocols = DissectorTable.get("ip.proto")
local keys = { sas = {}, faults = {} }

function p4esp.init()
  keys.sas, keys.faults = keyfile.read(p4esp.prefs.keys)
end

--- The hop limit of the header around us.
local function hops_of(pinfo)
  local version = tostring(pinfo.net_dst):find(":") and "IPv6" or "IPv4"
  local found = { hop_limits[version]() }
  return #found > 0 and found[#found].value or 0
end

local function context_of(pinfo)
  local addresses = { source = tostring(pinfo.net_src), destination = tostring(pinfo.net_dst) }
  return { sas = keys.sas, addresses = addresses, frame = pinfo.number, hops = hops_of(pinfo) }
end

--- An echo in an AGGFRAG payload.
local function show_echo(root, tvb)
  local packet = packets.new(tvb:raw())
  packets.attempt(echo.read, packet)
  tree.show(root:add(p4esp, tvb(), "Encrypted ESP ping"), tvb, packet)
end

--- Hands a payload to who knows its next header.
local function hand_over(tvb, next_header, pinfo, root)
  if next_header == NO_NEXT_HEADER or tvb:len() == 0 then
    return
  elseif next_header == AGGFRAG and echo.is_echo(tvb:raw(0, 1)) then
    show_echo(root, tvb)
    return
  end
  -- A dissector that throws has shown what is malformed.
  local done, octets_read = pcall(protocols.try, protocols, next_header, tvb, pinfo, root)
  if done and octets_read == 0 then
    Dissector.get("data"):call(tvb, pinfo, root)
  end
end

local function tvb_of(text, name)
  return ByteArray.new(text, true):tvb(name)
end

--- What stands in an opened packet.
local function show_text(branch, sealed, text, pinfo, root)
  local whole = sealed.shown .. text
  if #whole == 0 then
    tree.fault(branch, "truncated", "there is no text")
    return
  end
  local packet = packets.new(whole)
  local found = packets.attempt(function()
    return { payload[sealed.trailer](packet, sealed) }
  end)
  local tvb = tvb_of(whole, "Decrypted")
  tree.show(branch, tvb, packet)
  if not found then
    return
  end
  local offset, length, next_header, restored = found[1], found[2], found[3], found[4]
  if restored then
    hand_over(tvb_of(restored, "Restored"), next_header, pinfo, root)
  elseif length > 0 then
    hand_over(tvb(offset, length):tvb(), next_header, pinfo, root)
  end
end

local function show_opened(branch, sealed, pinfo, root)
  if not sealed.key then
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
local function show(result, packet, tvb, pinfo, root)
  local name = result and result.name or "ESP"
  local branch = root:add(p4esp, tvb(), name)
  pinfo.cols.protocol = name
  if result and result.sa then
    branch:append_text(", format " .. result.sa.format)
    tree.fact(branch, "format", result.sa.format)
  end
  tree.show(branch, tvb, packet)
  for _, fault in ipairs(keys.faults) do
    tree.fault(branch, "key_file", fault)
  end
  if result and result.sealed then
    show_opened(branch, result.sealed, pinfo, root)
  elseif result and result.visible then
    local visible = result.visible
    hand_over(tvb(visible[1], visible[2]):tvb(), visible[3], pinfo, root)
  end
end

--- A dissector of one of the headers that `dissect` reads.
local function dissector_of(reader)
  return function(tvb, pinfo, root)
    local cut = tvb:captured_len() < tvb:reported_len()
    local packet = packets.new(tvb:raw(), cut)
    local result = packets.attempt(reader, packet, context_of(pinfo))
    if not (result and result.stock and #keys.sas == 0) then
      show(result, packet, tvb, pinfo, root)
    end
    if result and result.stock then
      Dissector.get("esp"):call(tvb, pinfo, root)
    end
    return tvb:captured_len()
  end
end

--- A part of ours that stands in a table of dissectors.
local function register(name, title, reader, pattern, number)
  local part = Proto(name, title)
  part.dissector = dissector_of(reader)
  DissectorTable.get(pattern):add(number, part)
  return part
end

local esp = register("p4esp_esp", "ESP in a format of p4esp", dissect.esp, "ip.proto", 50)
local wesp = register("p4esp_wesp", "Wrapped ESP", dissect.wesp, "ip.proto", 141)
register("p4esp_eesp", "Enhanced ESP", dissect.eesp, "ip.proto", 253)
register("p4esp_end", "ESP with its header in the trailer", dissect.at_the_end, "ip.proto", 254)
register("p4esp_psp", "PSP Security Protocol", dissect.psp, "udp.port", 1000)

--- UDP port 4500 (RFC 3948, RFC 5840 2.1): what is not ESP of ours goes where it always went.
local natt = Proto("p4esp_natt", "ESP in UDP, in a format of p4esp")
function natt.dissector(tvb, pinfo, root)
  local first = tvb:captured_len() >= 4 and octets.number(tvb:raw(0, 4), 0, 4) or 0
  if first == 0 or #keys.sas == 0 then
    return Dissector.get("udpencap"):call(tvb, pinfo, root)
  elseif first == WESP_MARKER and tvb:captured_len() > 4 then
    return 4 + wesp.dissector(tvb(4):tvb(), pinfo, root)
  end
  return esp.dissector(tvb, pinfo, root)
end
DissectorTable.get("udp.port"):add(4500, natt)
