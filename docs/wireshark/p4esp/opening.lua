-- Checks the ICV of what `formats.lua` read, and decrypts it.

local octets = require "p4esp.octets"
local sas = require "p4esp.sas"

local CIPHERS = { gcm = "p4esp.gcm", chacha20poly1305 = "p4esp.chacha20poly1305" }

local MOST_KEPT = 256

--- What ciphers made of keys, by mode and key, and these names as they came: the next one takes the
--- place of the oldest.
local kept = { prepared = {}, names = {}, last = 0 }

--- Keeps what a cipher made of a key, some 50 kB. Only an ICV that is right makes it worth that:
--- anybody can send packets that have a key each.
local function keep(name, prepared)
  if kept.prepared[name] then
    return
  end
  kept.last = kept.last % MOST_KEPT + 1
  local oldest = kept.names[kept.last]
  if oldest then
    kept.prepared[oldest] = nil
  end
  kept.names[kept.last], kept.prepared[name] = name, prepared
end

local opening = {}

--- Forgets all keys.
function opening.forget()
  kept = { prepared = {}, names = {}, last = 0 }
end

--- The text in clear; nil when no attempt has the right ICV.
function opening.opened(sealed, frame)
  local encryption = sealed.encryption or sealed.sa.encryption
  local cipher = require(CIPHERS[encryption.mode])
  local name = encryption.mode .. sealed.key
  local key = kept.prepared[name] or cipher.prepared(sealed.key)
  local hidden = encryption.hides and sealed.text or ""
  for _, attempt in ipairs(sealed.attempts) do
    local nonce = sealed.salt .. attempt.iv
    local tag = cipher.tag(key, nonce, attempt.aad, hidden)
    if octets.part(tag, 0, #sealed.icv) == sealed.icv then
      keep(name, key)
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
