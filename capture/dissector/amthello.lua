-- Hello messages of Intel AMT for Wireshark and tshark. Written by: amtmedic capture dissector
--
-- It takes what goes to the ports below, and looks only at what a client sends. Wireshark joins the
-- segments of a hello correctly in every order only with this preference, which the script leaves
-- to you:
--
--   tshark -X lua_script:amthello.lua -o tcp.reassemble_out_of_order:TRUE -r FILE -Y amthello
--
-- Layout (all numbers little-endian): admin word 2, version 2, retry count 4, UUID 16; then, in
-- version 2, a PID of 8 characters; in version 3, a count and for each root hash an algorithm, a
-- length and the digest.

local ports = { [9971] = true }

local HEADER, PSK = 24, 32
local sizes = { [1] = 20, [2] = 32, [3] = 48 }

local proto = Proto("amthello", "Intel AMT Hello")
local f = {
  type = ProtoField.string("amthello.type", "Type"),
  admin_word = ProtoField.uint16("amthello.admin_word", "Admin word", base.HEX),
  admin_set = ProtoField.bool("amthello.admin_credentials_set", "Administrator password changed"),
  version = ProtoField.uint16("amthello.version", "Version", base.DEC, { [2] = "TLS-PSK", [3] = "Remote Configuration" }),
  retry = ProtoField.uint32("amthello.retry_count", "Retry count", base.DEC),
  uuid = ProtoField.guid("amthello.uuid", "UUID"),
  pid = ProtoField.string("amthello.pid", "PID"),
  count = ProtoField.uint8("amthello.hash_count", "Number of hashes", base.DEC),
  hash = ProtoField.none("amthello.hash", "Root hash"),
  algorithm = ProtoField.uint8("amthello.hash.algorithm", "Algorithm", base.DEC, { [1] = "SHA-1", [2] = "SHA-256", [3] = "SHA-384" }),
  length = ProtoField.uint8("amthello.hash.length", "Digest length", base.DEC),
  digest = ProtoField.bytes("amthello.hash.digest", "Digest"),
  rest = ProtoField.bytes("amthello.rest", "Bytes not understood"),
}
proto.fields = f

local e = {
  truncated = ProtoExpert.new("amthello.truncated", "The bytes end before the message does", expert.group.MALFORMED, expert.severity.ERROR),
  trailing = ProtoExpert.new("amthello.trailing", "Bytes follow the message", expert.group.MALFORMED, expert.severity.WARN),
  version = ProtoExpert.new("amthello.unknown_version", "Only versions 2 and 3 have a known layout", expert.group.UNDECODED, expert.severity.WARN),
  algorithm = ProtoExpert.new("amthello.unknown_algorithm", "Only algorithms 1 to 3 are known", expert.group.UNDECODED, expert.severity.WARN),
  length = ProtoExpert.new("amthello.algorithm_length", "The length is not that of the algorithm", expert.group.MALFORMED, expert.severity.WARN),
  admin_word = ProtoExpert.new("amthello.odd_admin_word", "Neither 0 nor 1; read as set", expert.group.PROTOCOL, expert.severity.WARN),
  pid = ProtoExpert.new("amthello.pid_characters", "A PID has only the characters A-Z and 0-9", expert.group.PROTOCOL, expert.severity.WARN),
}
proto.experts = e

local tcp_stream, tcp_fin = Field.new("tcp.stream"), Field.new("tcp.flags.fin")
local tcp_seq, tcp_seq_raw, tcp_len = Field.new("tcp.seq"), Field.new("tcp.seq_raw"), Field.new("tcp.len")

-- What became of each TCP stream: the frame with its hello, or 0 when it carries something else, the
-- first bytes, and where they stand.
local told = {}
function proto.init() told = {} end

local openings = { "GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "DELETE ", "TRACE ", "CONNECT ", "PATCH ",
  "PROPFIND ", "PRI * HTTP/2", "HTTP/", "SSH-", "PROXY ", "\r\n\r\n\0\r\nQUIT\n" }

-- is_tls tells a TLS record by its type, version and body; some carry a 3 where a hello has its version.
local function is_tls(b)
  if #b < 6 or b:byte(2) ~= 3 or b:byte(3) > 4 then return false end
  local kind, n, first = b:byte(1), b:byte(4) * 256 + b:byte(5), b:byte(6)
  if kind == 0x14 then return n == 1 and first == 1 end
  if kind == 0x15 then return n == 2 and (first == 1 or first == 2) end
  if kind == 0x16 then return n >= 4 and first >= 1 and first <= 24 end
  return kind == 0x17 and n >= 17 and n <= 16384 + 2048
end

local function is_text(b)
  for i = 1, 4 do
    local c = b:byte(i)
    if (c < 0x20 or c > 0x7e) and c ~= 13 and c ~= 10 and c ~= 9 then return false end
  end
  return true
end

-- foreign tells whether the first bytes of a stream are those of another protocol.
local function foreign(b)
  for _, o in ipairs(openings) do
    if b:sub(1, #o) == o then return true end
    if #b < #o and o:sub(1, #b) == b then return false end -- it may become one
  end
  if is_tls(b) then return true end
  if #b >= 8 and b:byte(1) == 0 and b:byte(5) >= 0xfc and b:sub(6, 8) == "SMB" then return true end
  if #b >= 6 and b:byte(1) == 3 and b:byte(2) == 0 and b:byte(5) + 1 <= b:byte(4) and b:byte(6) == 0xe0 then return true end
  if #b < 4 then return false end
  return is_text(b) or (b:byte(1) + 256 * b:byte(2) > 1 and b:byte(4) > 0)
end

-- need gives how many bytes the message has at least, by its own counts.
local function need(tvb, have)
  if have < HEADER then return HEADER end
  local version = tvb(2, 2):le_uint()
  if version == 2 then return PSK end
  if version ~= 3 then return have end
  local n = HEADER + 1
  if have < n then return n end
  for left = tvb(HEADER, 1):uint(), 1, -1 do
    if have < n + 2 then return n + left * 2 end
    n = n + 2 + tvb(n + 1, 1):uint()
    if have < n then return n + (left - 1) * 2 end
  end
  return n
end

-- visible writes bytes so that they can stand on a screen.
local function visible(s)
  return (s:gsub(".", function(c)
    local b = c:byte()
    if b <= 0x20 or b >= 0x7f or b == 0x5c then return string.format("\\x%02x", b) end
  end))
end

-- show_hashes adds every entry that is there and gives the offset behind the last of them.
local function show_hashes(tvb, have, sub)
  if have <= HEADER then return have end
  local count = tvb(HEADER, 1):uint()
  sub:add(f.count, tvb(HEADER, 1))
  local off = HEADER + 1
  for i = 1, count do
    if have < off + 2 or have < off + 2 + tvb(off + 1, 1):uint() then return off end
    local algorithm, n = tvb(off, 1):uint(), tvb(off + 1, 1):uint()
    local entry = sub:add(f.hash, tvb(off, 2 + n))
    entry:append_text(" " .. i .. " of " .. count)
    local shown = entry:add(f.algorithm, tvb(off, 1))
    if not sizes[algorithm] then shown:add_proto_expert_info(e.algorithm) end
    shown = entry:add(f.length, tvb(off + 1, 1))
    if sizes[algorithm] and sizes[algorithm] ~= n then shown:add_proto_expert_info(e.length) end
    if n > 0 then entry:add(f.digest, tvb(off + 2, n)) end
    off = off + 2 + n
  end
  return off
end

-- show adds the fields of a message of which the header is there. total is its length by its counts.
local function show(tvb, have, total, pinfo, tree)
  local version, word = tvb(2, 2):le_uint(), tvb(0, 2):le_uint()
  local kind = ({ [2] = "psk", [3] = "pki" })[version] or "unknown"
  local sub = tree:add(proto, tvb(0, have))
  sub:add(f.type, kind):set_generated()
  local shown = sub:add_le(f.admin_word, tvb(0, 2))
  if word > 1 then shown:add_proto_expert_info(e.admin_word) end
  sub:add(f.admin_set, tvb(0, 2), word ~= 0):set_generated()
  shown = sub:add_le(f.version, tvb(2, 2))
  sub:add_le(f.retry, tvb(4, 4))
  sub:add_le(f.uuid, tvb(8, 16))
  local info, off = "AMT hello, " .. kind, HEADER
  if kind == "psk" and have >= PSK then
    local raw = tvb(HEADER, 8):raw()
    local pid = sub:add(f.pid, tvb(HEADER, 8), visible(raw))
    if raw:find("[^A-Z0-9]") then pid:add_proto_expert_info(e.pid) end
    info, off = info .. ", PID " .. visible(raw), PSK
  elseif kind == "pki" then
    off = show_hashes(tvb, have, sub)
  elseif kind == "unknown" then
    shown:add_proto_expert_info(e.version)
  end
  if have > off then sub:add(f.rest, tvb(off, have - off)) end
  if have < total then
    sub:add_proto_expert_info(e.truncated)
    info = info .. ", truncated"
  elseif kind ~= "unknown" and have > total then
    sub:add_proto_expert_info(e.trailing)
  end
  pinfo.cols.protocol = "AMTHELLO"
  pinfo.cols.info = info .. ", retry " .. tvb(4, 4):le_uint()
end

-- value gives what tshark knows of the segment, nil when it knows nothing.
local function value(field)
  local info = field()
  return info and info.value
end

-- another tells whether these bytes cannot be the hello that the stream is known for: a stream has
-- one. Where no SYN was captured several attempts look like one stream, with a leap between them.
local function another(known, pinfo, start, seq)
  if not known then return false end
  if known.frame == pinfo.number then return known.start ~= start end
  local leap = (seq - known.seq) % 4294967296
  return leap < 16384 or leap > 4294967296 - 16384
end

-- ended tells whether no more bytes of the message can come: the packet is cut, or this is the
-- client's last segment and all of it is here.
local function ended(tvb, pinfo)
  local have = tvb:captured_len()
  if have < tvb:reported_len() or pinfo.can_desegment == 0 then return true end
  return value(tcp_fin) == true and (value(tcp_seq) or 0) + (value(tcp_len) or 0) - 1 == have
end

-- plausible tells a header from bytes in the middle of a stream whose beginning was not captured.
local function plausible(tvb)
  local version = tvb(2, 2):le_uint()
  return version >= 1 and version < 32
end

function proto.dissector(tvb, pinfo, tree)
  if not ports[pinfo.dst_port] then return 0 end -- answers share the port
  local have = tvb:captured_len()
  local stream, seq = value(tcp_stream) or -1, value(tcp_seq_raw) or 0
  local start = tvb(0, math.min(have, PSK)):raw()
  if another(told[stream], pinfo, start, seq) then return 0 end
  if foreign(start) then
    told[stream] = { frame = 0, start = start, seq = seq }
    return 0
  end
  local total = need(tvb, have)
  if have < total and not ended(tvb, pinfo) then
    pinfo.desegment_offset = 0
    pinfo.desegment_len = total - have
    return have
  end
  if have < HEADER or not plausible(tvb) then return 0 end
  told[stream] = { frame = pinfo.number, start = start, seq = seq }
  show(tvb, have, total, pinfo, tree)
  return tvb:reported_len()
end

local tcp = DissectorTable.get("tcp.port")
for port in pairs(ports) do tcp:add(port, proto) end
