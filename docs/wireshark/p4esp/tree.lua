-- Shows in Wireshark's tree what was found in a packet.

local fields = require "p4esp.fields"

local tree = {}

local function in_order(one, other)
  return one.offset < other.offset
end

local function add(parent, name, range)
  return parent:add(fields.fields[name], range)
end

--- The fields and the faults of a packet, whose octets `tvb` has.
function tree.show(parent, tvb, packet)
  table.sort(packet.found, in_order)
  for _, item in ipairs(packet.found) do
    local branch = add(parent, item.name, tvb(item.offset, item.length))
    for _, part in ipairs(item.parts or {}) do
      add(branch, part[1], tvb(item.offset + part[2], part[3]))
    end
  end
  for _, fault in ipairs(packet.faults) do
    tree.fault(parent, fault.kind, fault.message)
  end
end

--- An expert item, under what is wrong.
function tree.fault(parent, kind, message)
  parent:add_proto_expert_info(fields.experts[kind], message)
end

--- A fact that no octets have.
function tree.fact(parent, name, value)
  parent:add(fields.fields[name], value):set_generated()
end

return tree
