-- The key file that p4esp writes: a line for each SA, of words KEY=VALUE; `#` begins a comment.

local diet = require "p4esp.diet"
local octets = require "p4esp.octets"

local AES_SIZES = { ["128"] = 16, ["192"] = 24, ["256"] = 32 }
local ICV_SIZES = { ["16"] = 16, ["12"] = 12, ["8"] = 8 }

local FORMATS = {}
for _, name in ipairs {
  "esp", "sub-child", "spi-block", "subspaces", "trailer-in-header", "trailer-in-clear",
  "no-trailer", "header-in-trailer", "crypt-offset", "crypt-offset-shown", "wesp", "wesp-v2",
  "eesp-optimized", "eesp-full", "psp", "diet-esp",
} do
  FORMATS[name] = true
end

--- The cipher that a suite's keyword means: sizes, and whether the text is encrypted; or nil.
local function cipher_named(name)
  local bits, icv, implicit = name:match("^aes(%d+)gcm(%d+)(i?i?v?)$")
  if AES_SIZES[bits] and ICV_SIZES[icv] then
    return { mode = "gcm", key_size = AES_SIZES[bits], icv_size = ICV_SIZES[icv],
      iv_size = implicit == "iiv" and 0 or 8, hides = true }
  end
  bits = name:match("^aes(%d+)gmac$")
  if AES_SIZES[bits] then
    return { mode = "gcm", key_size = AES_SIZES[bits], icv_size = 16, iv_size = 8, hides = false }
  end
  implicit = name:match("^chacha20poly1305(i?i?v?)$")
  if implicit then
    return { mode = "chacha20poly1305", key_size = 32, icv_size = 16,
      iv_size = implicit == "iiv" and 0 or 8, hides = true }
  end
  return nil
end

--- A reader of whole numbers from `least` to `most`.
local function between(least, most)
  return function(value)
    local number = tonumber(value)
    if number and number >= least and number <= most and number % 1 == 0 then
      return number
    end
    return nil
  end
end

--- A reader of secrets of some lengths.
local function secret(...)
  local lengths = {}
  for _, length in ipairs { ... } do
    lengths[length] = true
  end
  return function(value)
    local text = octets.of_hex(value)
    return text and lengths[#text] and text or nil
  end
end

local function truth(value)
  local values = { yes = true, no = false }
  return values[value]
end

--- The octets of an address, of IPv6 in hexadecimal digits without colons or with all of them.
local function address(value)
  local a, b, c, d = value:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if a and math.max(a, b, c, d) < 256 then
    return string.char(a, b, c, d)
  end
  local text = octets.of_hex((value:gsub(":", "")))
  return text and #text == 16 and text or nil
end

--- Hexadecimal digits of the groups of a part of an IPv6 address, and how many there are; or nil.
local function groups_of(text)
  local digits, count = "", 0
  for group in (text == "" and "" or text .. ":"):gmatch("(.-):") do
    if not group:find("^%x%x?%x?%x?$") then
      return nil
    end
    digits, count = digits .. ("0"):rep(4 - #group) .. group, count + 1
  end
  return digits, count
end

--- The octets of an address as everybody writes it.
local function any_address(value)
  if not value:find(":", 1, true) then
    return value:find(".", 1, true) and address(value) or nil
  end
  local head, last = value:match("^(.*:)(%d+%.%d+%.%d+%.%d+)$")
  local ipv4 = last and address(last)
  if ipv4 then
    local groups = { octets.number(ipv4, 0, 2), octets.number(ipv4, 2, 2) }
    value = head .. ("%x:%x"):format(groups[1], groups[2])
  end
  local front, behind = value:match("^(.-)::(.*)$")
  local before, count = groups_of(front or value)
  local after, more = groups_of(behind or "")
  local zeros = before and after and 8 - count - more
  if not zeros or zeros < 0 or (zeros > 0) ~= (front ~= nil) then
    return nil
  end
  return octets.of_hex(before .. ("0000"):rep(zeros) .. after)
end

local HALF_WORD, WORD = 2 ^ 16 - 1, 2 ^ 32 - 1

--- How the value of each key is read; nil: it cannot be.
local READERS = {
  format = function(value) return FORMATS[value] and value end,
  spi = between(0, WORD), subs = between(1, HALF_WORD + 1), shown = between(0, HALF_WORD),
  source = any_address, destination = any_address,
  encryption = cipher_named,
  key = secret(16, 24, 32), salt = secret(4), root = secret(32),
  master0 = secret(32), master1 = secret(32),
  esn = truth, numbered = truth,
  -- of Diet-ESP:
  template = function(value) return diet.knows(value) and value end,
  spi_octets = between(1, 4), sn_octets = between(1, 4), trailer = truth,
  inner_source = address, inner_destination = address,
  inner_source_port = between(0, HALF_WORD), inner_destination_port = between(0, HALF_WORD),
}

--- Words of a line in a table; nil and why when one cannot be read.
local function words_of(line)
  local sa = { subs = 1, shown = 0, esn = false, numbered = true, trailer = false }
  for text in line:gmatch("%S+") do
    local key, value = text:match("^([%w_]+)=(.*)$")
    local read = READERS[key]
    local meant = read and read(value)
    if meant == nil or meant == false and read ~= truth then
      -- Not the value: it may be a key.
      return nil, ("%s is not understood"):format(key or "a word without =")
    end
    sa[key] = meant
  end
  return sa
end

local function fault_of_diet(sa)
  for _, key in ipairs { "template", "spi_octets", "sn_octets", "inner_source",
    "inner_destination" } do
    if not sa[key] then
      return "no " .. key
    end
  end
  local ports = sa.inner_source_port and sa.inner_destination_port
  if diet.has_ports(sa.template) and not ports then
    return "no ports"
  end
  local size = diet.address_size(sa.template)
  if #sa.inner_source ~= size or #sa.inner_destination ~= size then
    return "inner addresses of another IP version than the template's"
  end
  return nil
end

local function fault_of(sa)
  if not sa.format then
    return "no format"
  elseif sa.format == "psp" and (sa.master0 or sa.master1) then
    return nil
  elseif not sa.spi then
    return "no spi"
  elseif sa.format == "psp" then
    return not sa.key and "neither key nor master0 and master1" or nil
  elseif not sa.encryption then
    return "no encryption"
  elseif not sa.key and not sa.root then
    return "neither key nor root"
  elseif sa.key and #sa.key ~= sa.encryption.key_size then
    return ("a key of %d octets"):format(#sa.key)
  elseif sa.key and not sa.salt then
    return "no salt"
  elseif not sa.numbered and sa.encryption.iv_size == 0 then
    return "an implicit IV is made of the sequence number: there is none with numbered=no"
  elseif sa.format == "header-in-trailer" and sa.encryption.icv_size ~= 16 then
    return ("header-in-trailer has an ICV of 16 octets, not %d"):format(sa.encryption.icv_size)
  elseif sa.format == "diet-esp" then
    return fault_of_diet(sa)
  end
  return nil
end

local keyfile = {}

--- The SAs of a text, and the faults of lines that were left out.
function keyfile.parsed(text)
  local sas, faults, place = {}, {}, 0
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    place = place + 1
    local stated = line:gsub("#.*", "")
    if stated:find("%S") then
      local sa, fault = words_of(stated)
      fault = fault or fault_of(sa)
      if fault then
        faults[#faults + 1] = ("line %d: %s"):format(place, fault)
      else
        sas[#sas + 1] = sa
      end
    end
  end
  return sas, faults
end

--- As `parsed`, of a file; without a name there is no SA.
function keyfile.read(name)
  if name == "" then
    return {}, {}
  end
  local file, reason = io.open(name, "rb")
  if not file then
    return {}, { reason }
  end
  local text = file:read("*a")
  file:close()
  if not text then
    return {}, { name .. ": cannot be read" }
  end
  return keyfile.parsed(text)
end

return keyfile
