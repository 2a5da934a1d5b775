-- Operations on 32-bit words: Lua 5.2 has `bit32`, from Lua 5.3 on they are operators.

if bit32 then
  return bit32
end

-- A text, because Lua 5.2 cannot read these operators.
local OPERATORS = [[
local WORD = 0xffffffff
local bits = {}
function bits.band(a, b) return a & b & WORD end
function bits.bor(a, b) return (a | b) & WORD end
function bits.bnot(a) return ~a & WORD end
function bits.bxor(a, b, ...)
  local word = a ~ b
  if ... then return bits.bxor(word, ...) end
  return word & WORD
end
function bits.lshift(a, n) return (a << n) & WORD end
function bits.rshift(a, n) return (a & WORD) >> n end
function bits.rrotate(a, n) return ((a & WORD) >> n | a << (32 - n)) & WORD end
function bits.lrotate(a, n) return bits.rrotate(a, 32 - n) end
function bits.extract(a, at, width) return a >> at & ((1 << width) - 1) end
return bits
]]

return assert(load(OPERATORS))()
