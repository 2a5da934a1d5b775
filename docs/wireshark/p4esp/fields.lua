-- The fields and the expert items of the protocol, by their names after "p4esp.".

local NEXT_HEADERS = {
  [4] = "IPv4", [6] = "TCP", [17] = "UDP", [41] = "IPv6", [58] = "ICMPv6", [59] = "no next header",
  [144] = "AGGFRAG",
}
local PSP_VERSIONS = {
  [0] = "AES-GCM-128", [1] = "AES-GCM-256", [2] = "AES-GMAC-128", [3] = "AES-GMAC-256",
}
local OPTIONS = { [0] = "Pad1", [1] = "PadN", [2] = "Crypt Offset" }
local SUB_TYPES = { [2] = "echo request", [3] = "echo response" }
local BOOLEAN_OCTET = 8

-- Name, type, what it is called, then what the type takes besides.
local FIELDS = {
  { "format", "string", "Format" },
  { "spi", "uint32", "SPI", base.HEX },
  { "sub_id", "uint16", "Sub ID" },
  { "sn", "uint64", "Sequence Number", base.DEC },
  { "recovered_sn", "uint64", "Sequence Number, whole", base.DEC },
  { "iv", "bytes", "IV" },
  { "shown", "bytes", "Payload in clear" },
  { "ciphertext", "bytes", "Ciphertext" },
  { "payload", "bytes", "Payload" },
  { "inner", "bytes", "Inner packet" },
  { "padding", "bytes", "Padding" },
  { "pad_len", "uint8", "Pad Length", base.DEC },
  { "next_header", "uint8", "Next Header", base.DEC, NEXT_HEADERS },
  { "icv", "bytes", "ICV" },
  { "icv_good", "bool", "ICV is right" },
  { "tih", "none", "Trailer information header" },
  { "tih.zero", "uint16", "Zero", base.HEX, nil, 0xf000 },
  { "tih.reserved", "uint16", "Reserved", base.HEX, nil, 0x0fff },
  { "wesp", "none", "WESP header" },
  { "wesp.next_header", "uint8", "Next Header", base.DEC, NEXT_HEADERS },
  { "wesp.hdr_len", "uint8", "HdrLen", base.DEC },
  { "wesp.trailer_len", "uint8", "TrailerLen", base.DEC },
  { "wesp.version", "uint8", "Version", base.DEC, nil, 0xc0 },
  { "wesp.encrypted", "bool", "Encrypted", BOOLEAN_OCTET, nil, 0x20 },
  { "wesp.padded", "bool", "Padding present", BOOLEAN_OCTET, nil, 0x10 },
  { "wesp.reserved", "uint8", "Reserved", base.HEX, nil, 0x0f },
  { "wesp.crypt_offset", "uint8", "CryptOffset, in 4 octets", base.DEC, nil, 0xfc },
  { "wesp.reserved_v2", "uint8", "Reserved", base.HEX, nil, 0x03 },
  { "wesp.opt_len", "uint8", "OptLen", base.DEC, nil, 0x3f },
  { "wesp.padding", "bytes", "Padding" },
  { "option", "none", "Option" },
  { "option.type", "uint8", "Option Type", base.DEC, OPTIONS },
  { "option.len", "uint8", "Option Length", base.DEC },
  { "option.data", "bytes", "Option Data" },
  { "eesp", "none", "EESP base header" },
  { "eesp.one", "bool", "One", BOOLEAN_OCTET, nil, 0x80 },
  { "eesp.version", "uint8", "Version", base.DEC, nil, 0x78 },
  { "eesp.reserved", "uint8", "Reserved", base.HEX, nil, 0x07 },
  { "eesp.opt_len", "uint8", "Opt Len", base.DEC },
  { "eesp.session_id", "uint16", "Session ID" },
  { "eesp.payload_offset", "uint16", "Payload Offset, in 4 octets", base.DEC, nil, 0xfc00 },
  { "eesp.crypt_offset", "uint16", "CryptOffset, in 4 octets", base.DEC, nil, 0x03f0 },
  { "eesp.reserved_offset", "uint16", "Reserved", base.HEX, nil, 0x000f },
  { "psp", "none", "PSP header" },
  { "psp.next_header", "uint8", "Next Header", base.DEC, NEXT_HEADERS },
  { "psp.hdr_ext_len", "uint8", "Hdr Ext Len", base.DEC },
  { "psp.reserved", "uint8", "Reserved", base.HEX, nil, 0xc0 },
  { "psp.crypt_offset", "uint8", "Crypt Offset, in 4 octets", base.DEC, nil, 0x3f },
  { "psp.sample", "bool", "Sample", BOOLEAN_OCTET, nil, 0x80 },
  { "psp.drop", "bool", "Drop", BOOLEAN_OCTET, nil, 0x40 },
  { "psp.version", "uint8", "Version", base.DEC, PSP_VERSIONS, 0x3c },
  { "psp.cookie_present", "bool", "Cookie present", BOOLEAN_OCTET, nil, 0x02 },
  { "psp.one", "bool", "One", BOOLEAN_OCTET, nil, 0x01 },
  { "psp.cookie", "bytes", "Virtualization Cookie" },
  { "diet.spi", "bytes", "SPI, low octets" },
  { "diet.sn", "bytes", "Sequence Number, low octets" },
  { "diet.residue", "bytes", "SCHC residue" },
  { "diet.tcp", "bytes", "TCP, from Sequence Number to Window" },
  { "diet.urgent", "bytes", "TCP, Urgent Pointer" },
  { "echo", "none", "Echo" },
  { "echo.sub_type", "uint8", "Sub-type", base.DEC, SUB_TYPES },
  { "echo.return_path", "bool", "Return path", BOOLEAN_OCTET, nil, 0x80 },
  { "echo.reserved", "uint8", "Reserved", base.HEX, nil, 0x7f },
  { "echo.data_len", "uint16", "Data Length" },
  { "echo.identifier", "uint16", "Identifier", base.HEX },
  { "echo.sequence", "uint16", "Sequence" },
  { "echo.return_spi", "uint32", "Return path SPI", base.HEX },
  { "echo.data", "bytes", "Data" },
}

-- Name, text, group, severity.
local EXPERTS = {
  { "truncated", "The packet is too short", expert.group.MALFORMED, expert.severity.ERROR },
  { "cut", "The capture has not the whole packet", expert.group.UNDECODED, expert.severity.WARN },
  { "bad_version", "Unknown version", expert.group.PROTOCOL, expert.severity.ERROR },
  { "bad_option", "Bad option", expert.group.PROTOCOL, expert.severity.ERROR },
  { "bad_length", "Bad length", expert.group.PROTOCOL, expert.severity.ERROR },
  { "bad_reserved", "Reserved bits", expert.group.PROTOCOL, expert.severity.WARN },
  { "bad_padding", "Bad padding", expert.group.PROTOCOL, expert.severity.ERROR },
  { "bad_payload", "Bad payload", expert.group.PROTOCOL, expert.severity.ERROR },
  { "bad_residue", "Bad residue", expert.group.PROTOCOL, expert.severity.ERROR },
  { "bad_icv", "The ICV is wrong", expert.group.CHECKSUM, expert.severity.ERROR },
  { "mismatch", "Parts do not agree", expert.group.PROTOCOL, expert.severity.ERROR },
  { "out_of_range", "Above the SA's limit", expert.group.PROTOCOL, expert.severity.ERROR },
  { "no_sa", "No SA", expert.group.UNDECODED, expert.severity.NOTE },
  { "no_key", "No key", expert.group.UNDECODED, expert.severity.NOTE },
  { "key_file", "Key file", expert.group.UNDECODED, expert.severity.WARN },
}

local fields = { fields = {}, experts = {} }

for _, field in ipairs(FIELDS) do
  local name, kind, title = field[1], field[2], field[3]
  fields.fields[name] = ProtoField[kind]("p4esp." .. name, title, field[4], field[5],
    field[6])
end
for _, item in ipairs(EXPERTS) do
  local name, title, group, severity = item[1], item[2], item[3], item[4]
  fields.experts[name] = ProtoExpert.new("p4esp." .. name .. ".expert", title, group, severity)
end

return fields
