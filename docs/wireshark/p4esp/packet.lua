-- Octets that are read from the front and from the end, and what was found in them. Nothing here
-- knows Wireshark: `tree.lua` shows what was found.

local octets = require "p4esp.octets"

local Packet = {}
Packet.__index = Packet

--- Thrown, and caught by `Packet.attempt`, when there is nothing left to read.
local STOP = {}

local packet = {}

--- A packet of a text; `cut` says that the capture has only its beginning.
function packet.new(text, cut)
  return setmetatable({ text = text, at = 0, stop = #text, cut = cut, found = {}, faults = {} },
    Packet)
end

--- What a function returns, or nil when a packet was too short for it.
function packet.attempt(reader, ...)
  local done, result = pcall(reader, ...)
  if done then
    return result
  elseif result ~= STOP then
    error(result, 0)
  end
  return nil
end

--- Octets that are left.
function Packet:left()
  return self.stop - self.at
end

--- A field at an offset; `parts` are fields inside it, as { name, offset, length }.
function Packet:note(name, offset, length, parts)
  self.found[#self.found + 1] = { name = name, offset = offset, length = length, parts = parts }
end

--- Something is wrong with `length` octets from `offset` on, if it can be said of which.
function Packet:fault(kind, message, offset, length)
  self.faults[#self.faults + 1] =
    { kind = kind, message = message, offset = offset or 0, length = length or 0 }
end

--- Something is wrong, so that reading on has no sense.
function Packet:refuse(kind, message, offset, length)
  self:fault(kind, message, offset, length)
  error(STOP, 0)
end

function Packet:_need(name, length)
  if length > self:left() then
    local kind = self.cut and "cut" or "truncated"
    local wanted = ("%s: %d octets, %d are left"):format(name, length, self:left())
    self:refuse(kind, wanted, self.at, self:left())
  end
end

--- The next field from the front.
function Packet:take(name, length, parts)
  self:_need(name, length)
  local offset = self.at
  self.at = offset + length
  if length > 0 then
    self:note(name, offset, length, parts)
  end
  return octets.part(self.text, offset, length)
end

--- The next field from the end; of a packet that the capture cut there is no end.
function Packet:take_last(name, length, parts)
  if self.cut then
    self:refuse("cut", "the capture has no more of it", self.at, self:left())
  end
  self:_need(name, length)
  self.stop = self.stop - length
  if length > 0 then
    self:note(name, self.stop, length, parts)
  end
  return octets.part(self.text, self.stop, length)
end

--- All from the first octet up to where we are.
function Packet:front()
  return octets.part(self.text, 0, self.at)
end

--- All that is left, as one field.
function Packet:rest(name)
  return self:take(name, self:left())
end

return packet
