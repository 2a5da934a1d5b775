-- Checks the ICV of what `formats.lua` read, and decrypts it.

local octets = require "p4esp.octets"
local sas = require "p4esp.sas"

local CIPHERS = { gcm = "p4esp.gcm", chacha20poly1305 = "p4esp.chacha20poly1305" }

local prepared = {}

local function prepared_key(mode, key)
  local name = mode .. key
  prepared[name] = prepared[name] or require(CIPHERS[mode]).prepared(key)
  return prepared[name]
end

local opening = {}

--- The text in clear; nil when no attempt has the right ICV.
function opening.opened(sealed, frame)
  local encryption = sealed.encryption or sealed.sa.encryption
  local cipher = require(CIPHERS[encryption.mode])
  local key = prepared_key(encryption.mode, sealed.key)
  local hidden = encryption.hides and sealed.text or ""
  for _, attempt in ipairs(sealed.attempts) do
    local nonce = sealed.salt .. attempt.iv
    local tag = cipher.tag(key, nonce, attempt.aad, hidden)
    if octets.part(tag, 0, #sealed.icv) == sealed.icv then
      if attempt.number then
        sas.remember(sealed.sa, frame, attempt.number)
        sealed.number = attempt.number
      end
      return encryption.hides and cipher.crypted(key, nonce, hidden) or sealed.text
    end
  end
  return nil
end

return opening
