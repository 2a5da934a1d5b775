-- Which SA a packet belongs to, the keys of its sub SAs, and the sequence numbers of which a
-- packet has the low bits only.

local cmac = require "p4esp.cmac"
local octets = require "p4esp.octets"
local sha256 = require "p4esp.sha256"

local sas = {}

local function is_between(sa, addresses)
  return (not sa.destination or sa.destination == addresses.destination)
    and (not sa.source or sa.source == addresses.source)
end

--- The SA of an SPI (a number) in one of some formats, and the packet's number in its block.
function sas.of_spi(all, addresses, spi, formats)
  for _, sa in ipairs(all) do
    local size = sa.format == "spi-block" and sa.subs or 1
    local sub = sa.spi and spi - sa.spi
    if sub and formats[sa.format] and sub >= 0 and sub < size and is_between(sa, addresses) then
      return sa, sub
    end
  end
  return nil
end

--- The Diet-ESP SA between two addresses whose SPI ends in what a packet begins with.
function sas.of_diet(all, addresses, text)
  for _, sa in ipairs(all) do
    local sent = sa.format == "diet-esp" and sa.spi_octets
    if sent and #text >= sent and is_between(sa, addresses) then
      local low = octets.part(octets.of_number(sa.spi, 4), 4 - sent)
      if octets.part(text, 0, sent) == low then
        return sa
      end
    end
  end
  return nil
end

--- The key of PSP for an SPI (4 octets), of `size` octets; the first bit chooses the master key.
function sas.psp_key(all, addresses, spi, size)
  local sa = sas.of_spi(all, addresses, octets.number(spi, 0, 4), { psp = true })
  if sa and sa.key then
    return #sa.key == size and sa.key or nil
  end
  for _, other in ipairs(all) do
    local master = spi:byte(1) < 128 and other.master0 or other.master1
    if master and is_between(other, addresses) then
      return cmac.psp_key(master, spi, size)
    end
  end
  return nil
end

--- Key and salt of a sub SA.
function sas.key_of(sa, sub)
  if not sa.root then
    return sa.key, sa.salt
  end
  sa.keys = sa.keys or {}
  if not sa.keys[sub] then
    local size = sa.encryption.key_size
    sa.keys[sub] = sha256.expanded(sa.root, octets.of_number(sub, 2), size + 4)
  end
  local size = sa.encryption.key_size
  return octets.part(sa.keys[sub], 0, size), octets.part(sa.keys[sub], size)
end

--- Numbers that a packet may have whose low `bits` bits are `low`: the likeliest first. In a frame
--- that was seen before, only what it had then.
function sas.candidates(sa, frame, low, bits)
  local known = sa.numbers and sa.numbers[frame]
  if known then
    return { known }
  end
  local span, top = 2 ^ bits, sa.top or 0
  local least = math.max(top - span / 2 + 1, 0)
  local first = least + (low - least) % span
  local made = { first, first + span }
  if first >= span then
    made[3] = first - span
  end
  return made
end

--- A frame's number is authentic.
function sas.remember(sa, frame, number)
  sa.numbers = sa.numbers or {}
  sa.numbers[frame] = number
  sa.top = math.max(sa.top or 0, number)
end

return sas
