#!/bin/sh
# Contrôle un extrait exporté par Témoin avec openssl, coreutils et awk, sans rien de Témoin. Voir CHECK.txt.
# Checks what Témoin exported with openssl, coreutils and awk, and nothing of Témoin. See CHECK.txt.
#
#   sh check.sh --ca-sha256 HEX [--allow-simulated] [FOLDER]
#
# HEX: SHA-256 of the agency's certificate (DER), as published by the agency. FOLDER: the bundle; else this script's.
# Exit: 0 every step passed; 1 the first that failed is named; 2 nothing was decided (usage, a tool or file missing).
#
# Everything in the bundle is hostile until checked: names are fixed, values reach the shell only after awk has eaten
# them character class by character class, nothing of the bundle is printed or run that was not. JSON here has one
# encoding (keys sorted, no white space), so it is read from its first byte to its last, in order; nothing is searched.
set -eu
umask 077
LC_ALL=C
export LC_ALL
unset CDPATH OPENSSL_CONF
exec 3>&1 # what is said goes there, also from where the output of a function is being collected

unable() {
  printf 'IMPOSSIBLE  %s | CANNOT CHECK  %s\n' "$1" "$2" >&2
  exit 2
}
fail() {
  printf 'ECHEC  %s | FAILED  %s\n' "$1" "$2" >&3
  exit 1
}
step=0
pass() {
  step=$((step + 1))
  printf 'OK %d  %s | %s\n' "$step" "$1" "$2"
}
note() { printf '      %s | %s\n' "$1" "$2"; }

wanted='' simulated_allowed=no folder=''
while [ $# -gt 0 ]; do
  case $1 in
    --ca-sha256)
      [ $# -ge 2 ] || unable 'usage : check.sh --ca-sha256 HEX' 'usage: check.sh --ca-sha256 HEX'
      wanted=$(printf '%s' "$2" | tr -d ':' | tr 'A-F' 'a-f')
      shift
      ;;
    --allow-simulated) simulated_allowed=yes ;;
    -*) unable 'option inconnue' 'unknown option; usage: check.sh --ca-sha256 HEX [--allow-simulated] [FOLDER]' ;;
    *)
      [ -z "$folder" ] || unable 'un seul dossier' 'one folder only'
      folder=$1
      ;;
  esac
  shift
done
case $wanted in *[!0-9a-f]* | '') unable '--ca-sha256 attend 64 chiffres hexadécimaux' '--ca-sha256 takes 64 hex digits' ;; esac
[ "${#wanted}" -eq 64 ] || unable '--ca-sha256 attend 64 chiffres hexadécimaux' '--ca-sha256 takes 64 hex digits'
for tool in openssl awk sha256sum dd base64 wc tr tail head cut date mktemp mkdir dirname cat rm od; do
  command -v "$tool" >/dev/null 2>&1 || unable "programme absent : $tool" "missing program: $tool"
done
[ -n "$folder" ] || folder=$(dirname -- "$0")
cd -- "$folder" 2>/dev/null || unable 'dossier illisible' 'the folder cannot be opened'

tmp=$(mktemp -d "${TMPDIR:-/tmp}/temoin-check.XXXXXX") || unable 'pas de dossier temporaire' 'no temporary folder'
trap 'rm -rf -- "$tmp"' EXIT
trap 'exit 2' HUP INT TERM
failure=$tmp/failure

need() { # FILE: a regular file, no link
  { [ -f "$1" ] && [ ! -L "$1" ]; } || fail "$1 : fichier absent, ou pas un fichier" "$1: missing, or not a regular file"
  [ -r "$1" ] || unable "$1 : illisible" "$1: cannot be read"
}
hash_of() { sha256sum <"$1" | cut -c 1-64; }
size_of() { wc -c <"$1" | tr -d ' '; }
quiet() { "$@" >"$tmp/said" 2>&1; }

# What both awk programs share: S is the text, P the next character, W says where we are for the error.
library='
function bad(french, english) { printf "%s\n%s\n", french, english > failure; close(failure); exit 1 }
function shape() { bad(W " : forme inattendue au caractère " P, W ": not of the expected form at character " P) }
function lit(t) { if (substr(S, P, length(t)) != t) shape(); P += length(t) }
function maybe(t) { if (substr(S, P, length(t)) != t) return 0; P += length(t); return 1 }
function span(pattern, most,   piece) {
  piece = substr(S, P, most + 1)
  if (!match(piece, pattern) || RSTART != 1 || RLENGTH < 1 || RLENGTH > most) shape()
  P += RLENGTH
  return substr(piece, 1, RLENGTH)
}
function quoted(pattern, most,   v) { lit(Q); v = span(pattern, most); lit(Q); return v }
function hex(count,   v) { v = quoted("^[0-9a-f]+", count); if (length(v) != count) shape(); return v }
function id() { return quoted("^[a-z0-9-]+", 32) }
function whole() { return span("^(0|[1-9][0-9]*)", 16) }
function ns() { return quoted("^(0|[1-9][0-9]*)", 19) }
function flag() { if (maybe("true")) return 1; lit("false"); return 0 }
function utc(   v) { v = quoted("^[0-9TZ:.-]+", 24); if (length(v) != 24) shape(); return v }
function first(name) { lit("{" Q name Q ":") }
function key(name) { lit("," Q name Q ":") }
function number_or_null() { return maybe("null") ? "null" : whole() }
function hex_or_null(count) { return maybe("null") ? "null" : hex(count) }
function done() { lit("}"); if (P != length(S) + 1) shape() }
function begin(text, where) { S = text; P = 1; W = where; Q = "\"" }
'

# statement.json -> lines "key value ...", each value of a checked class.
read_statement='
BEGIN {
  RS = "\n"
  if ((getline text) != 1 || (getline more) > 0) bad("statement.json : pas une seule ligne", "statement.json: not one line")
  begin(text, "statement.json")
  first("agency"); print "agency", id()
  key("camera"); print "camera", hex(64)
  key("clips"); lit("[")
  for (number = 1; ; number++) {
    file = "clip" (number > 1 ? "-" number : "") ".mp4"; init = "init" (number > 1 ? "-" number : "") ".mp4"
    lit("{" Q "file" Q ":" Q file Q)
    key("fragments"); fragments = whole()
    key("frames"); frames = whole()
    key("init"); lit("{" Q "file" Q ":" Q init Q); key("sha256"); init_hash = hex(64); key("size"); init_size = whole(); lit("}")
    key("moov"); first("sha256"); moov_hash = hex(64); key("size"); moov_size = whole(); lit("}")
    key("pre"); pre = whole()
    key("segments"); lit("[")
    ranges = ""
    do {
      first("count"); count = whole(); key("first"); from = whole(); key("offset"); offset = whole(); key("seg"); seg = whole(); lit("}")
      ranges = ranges "range " seg " " from " " count " " offset "\n"
    } while (maybe(","))
    lit("]")
    key("sha256"); clip_hash = hex(64)
    key("size"); clip_size = whole(); lit("}")
    print "clip", file, init, fragments, frames, pre, init_hash, init_size, moov_hash, moov_size, clip_hash, clip_size
    printf "%s", ranges
    if (!maybe(",")) break
  }
  lit("]")
  key("cut"); first("after"); print "after", whole(); key("before"); print "before", whole(); lit("}")
  key("dev"); print "dev", id()
  key("exporter"); print "exporter", id()
  key("gaps"); lit("["); gaps = ""
  if (!maybe("]")) { do gaps = gaps "," whole(); while (maybe(",")); lit("]") }
  print "gaps", gaps
  key("jid"); print "jid", hex(32)
  key("journal"); first("first"); print "first", whole(); key("head"); print "head", hex(64)
  key("last"); print "last", whole(); key("sha256"); print "journal", hex(64); lit("}")
  key("recording"); print "recording", quoted("^[a-z0-9-]+", 60)
  key("stop"); print "stop", number_or_null()
  key("tokens"); first("after"); print "token_after", hex_or_null(64)
  key("before"); print "token_before", hex_or_null(64); key("roots"); print "token_roots", hex_or_null(64); lit("}")
  key("typ"); lit(Q "temoin/export/1" Q)
  key("utc"); print "utc", utc()
  key("verdict"); first("level"); print "verdict", quoted("^[A-Z]+", 12)
  key("reasons"); lit("[")
  if (substr(S, length(S) - 2) != "]}}") { P = length(S) - 2; shape() }
}
'

# journal.log -> three folders of columns, each column a file of its own, 1,000 a folder.
split_journal='
BEGIN { FS = "\t" }
{
  if (NF != 3) bad("journal.log ligne " NR " : pas trois colonnes", "journal.log line " NR ": not three columns")
  if (length($0) > 65535) bad("journal.log ligne " NR " : trop longue", "journal.log line " NR ": too long")
  name = sprintf("/%04d/%08d", int((NR - 1) / 1000), NR)
  file = heads name; printf "%s", $1 > file; close(file)
  file = bodies name; printf "%s", $3 > file; close(file)
  if ($2 != "-") { file = signatures name; printf "%s", $2 > file; close(file) }
}
'

read_journal='
function entry() { return "journal.log entrée|entry " H["seq"] }
function no(french, english) { bad("journal.log entrée " H["seq"] " : " french, "journal.log entry " H["seq"] ": " english) }
function tail_of_recording() { key("rec"); mine = (quoted("^[a-z0-9-]+", 60) == claim["recording"]); key("salt"); hex(32) }
function head() {
  first("body"); H["body"] = hex(64)
  key("boot"); H["boot"] = quoted("^[0-9a-f-]+", 36)
  key("dev"); H["dev"] = id()
  key("jid"); H["jid"] = hex(32)
  key("kind"); H["kind"] = quoted("^[a-z.]+", 20)
  key("mono_ns"); H["mono_ns"] = ns()
  key("prev"); H["prev"] = hex(64)
  key("seq"); H["seq"] = whole()
  key("time"); first("err_ms"); H["err_ms"] = number_or_null(); key("src"); H["src"] = quoted("^[a-z]+", 10)
  key("utc"); H["utc"] = maybe("null") ? "null" : utc(); lit("}")
  key("typ"); lit(Q "temoin/entry/1" Q); done()
  if (index(kinds, " " H["kind"] " ") == 0) no("genre inconnu", "unknown kind")
}
function chain(n) {
  if (H["seq"] + 0 != claim["first"] + n - 1) no("numéro inattendu", "unexpected number, " (claim["first"] + n - 1) " belongs here")
  if (H["dev"] != claim["dev"] || H["jid"] != claim["jid"]) no("d’une autre caméra ou d’un autre journal", "of another camera or journal")
  if ((H["seq"] == "0") != (H["kind"] == "genesis")) no("genesis ailleurs qu’au début", "genesis elsewhere than at 0")
  if (n == 1 && H["seq"] == "0" && H["prev"] !~ /^0+$/) no("prev de genesis", "prev of genesis")
  if (n > 1 && H["prev"] != digest) no("prev n’est pas le hash de l’entrée précédente", "prev is not the hash of the entry before")
  if (body == "-") { withheld++; if (inside && H["kind"] ~ /^(fragment|gap|segment|recording)/) hidden++ }
  else if (body_hash != H["body"]) no("le corps n’est pas celui de l’en-tête", "the body is not the one of the head")
}
# Unsigned: fragments of a slow signer, vouched for by the next signature of the same run of the agent.
function signed(n) {
  if (signature == "-") {
    if (H["kind"] != "fragment") no("sans signature", "not signed")
    if (!unsigned++) unsigned_first = H["seq"]
    waiting++; waiting_boot = H["boot"]
    return
  }
  if (signature !~ /^[A-Za-z0-9+\/]+=?=?$/ || length(signature) % 4 || length(signature) > 100) no("signature mal formée", "malformed signature")
  print n, H["seq"] > to_verify
  if (!waiting || H["kind"] == "checkpoint") return
  if (H["kind"] == "boot" || H["boot"] != waiting_boot) weak += waiting
  waiting = 0
}
function token() {
  begin(body, entry()); first("salt"); hex(32); key("statement"); first("sig"); quoted("^[A-Za-z0-9+/=]+", 120); key("text"); lit("\"")
  Q = "\\\""
  first("agency"); id(); key("dev"); if (id() != claim["dev"]) shape()
  key("dock"); id(); key("dseq"); whole(); key("head"); token_head = hex(64); key("imprint"); token_imprint = hex(64)
  key("jid"); if (hex(32) != claim["jid"]) shape()
  key("session"); hex(32); key("tsr"); token_reply = quoted("^[A-Za-z0-9+/=]+", 65535)
  key("typ"); lit(Q "temoin/token/1" Q); key("utc"); utc(); lit("}"); Q = "\""; lit("\"}"); done()
}
function recording_start() {
  first("cause"); quoted("^[a-z_]+", 20); key("counter"); number_or_null(); key("got_ms"); whole(); key("press_ns"); v = ns()
  key("reason"); if (!maybe("null")) quoted("^[a-z0-9_.+-]+", 64)
  tail_of_recording()
  if (!mine) return
  if (started || claim["recording"] != H["dev"] "-" substr(H["jid"], 1, 8) "-" H["seq"]) no("début inattendu de l’enregistrement", "unexpected start of the recording")
  started = inside = 1; press = v + 0
}
function recording_stop() {
  first("cause"); cause = quoted("^[a-z_]+", 20); key("duration_ms"); whole(); key("fragments"); v = whole(); key("press_ns"); if (!maybe("null")) ns()
  tail_of_recording(); done()
  if (!mine) return
  if (stop != "null" || !started) no("fin inattendue de l’enregistrement", "unexpected stop of the recording")
  if (v != total) no("nombre de fragments", "the recording has " v " fragments, the journal " total)
  inside = 0; stop = H["seq"]; stop_cause = cause; stop_n = n
}
function segment_open() {
  first("header"); hex(64); key("init"); hash = hex(64); key("init_len"); size = whole(); key("nonce"); hex(32); key("policy"); hex(64)
  key("rec"); mine = (quoted("^[a-z0-9-]+", 60) == claim["recording"])
  key("recipients"); lit("["); do hex(64); while (maybe(",")); lit("]")
  key("salt"); hex(32); key("seg"); v = whole(); key("source"); lit("\"")
  if (!mine) return
  # A segment whose first write failed is never opened here: its number is left out.
  if (!inside || v + 0 <= segment) no("segment inattendu", "unexpected segment")
  segment = v + 0; init_hash[segment] = hash; init_size[segment] = size; in_segment[segment] = 0
}
# Times in ns are beyond 2^53 after 104 days: 2 us of slack for what awk rounds.
function whole_time(   hole, frame) {
  hole = start - footage_end; frame = duration / frames
  if (total > 1 && (hole < 0 ? -hole : hole) > (frame > frame_before ? frame : frame_before) + 2000)
    if (!gap_open || gap_from > (hole > 0 ? footage_end : start) + 2000 || gap_to < (hole > 0 ? start : footage_end) - 2000)
      no("un trou que rien n’annonce avant ce fragment", "a hole before this fragment that no gap entry names")
  footage_end = start + duration; frame_before = frame; gap_open = 0
}
function fragment(   f) {
  first("blob"); hex(64); key("dur_ns"); duration = ns(); key("frames"); frames = whole(); key("len"); size = whole()
  key("n"); number = whole(); key("off"); whole(); key("plain"); plain = hex(64); key("pre"); pre = flag()
  tail_of_recording()
  key("seg"); seg = whole(); key("sound"); flag(); key("t0_ns"); start = ns(); done()
  if (!mine) return
  if (!inside || seg + 0 != segment || number + 0 != in_segment[segment]) no("fragment inattendu", "unexpected fragment")
  if (size % 65552 || size == 0) no("longueur du fragment", "length of the fragment")
  if (frames == 0) no("fragment sans image", "a fragment without frames")
  if (pre ? start + duration > press + 2000 : start + duration < press - 2000) no("pre ne dit pas si le fragment précède l’appui", "pre does not say whether it ends before the press")
  in_segment[segment]++; f = ++total
  F_seq[f] = H["seq"]; F_seg[f] = seg + 0; F_n[f] = number + 0; F_blocks[f] = size / 65552; F_plain[f] = plain; F_pre[f] = pre
  whole_time(); F_frames[f] = frames + 0; F_start[f] = start + 0; F_length[f] = duration + 0
  F_utc[f] = H["utc"] " " H["err_ms"] " " H["src"] " " sprintf("%.0f", (H["mono_ns"] - start) / 1000000)
}
function segment_seal() {
  first("blob"); hex(64); key("n"); v = whole(); tail_of_recording(); key("seg"); seg = whole(); key("size"); whole(); done()
  if (mine && (seg + 0 != segment || v + 0 != in_segment[segment])) no("compte du segment", "the count of the segment is not that of the journal")
}
function gap() {
  first("cause"); quoted("^[a-z_]+", 20); key("from_ns"); v = ns(); tail_of_recording(); key("to_ns"); hash = ns(); done()
  if (!mine) return
  gaps = gaps "," H["seq"]; gap_count++
  if (!gap_open || v + 0 < gap_from) gap_from = v + 0
  if (!gap_open || hash + 0 > gap_to) gap_to = hash + 0
  gap_open = 1
}
# The slow signer is the third from last field of a checkpoint, the second from last of genesis.
function slow_signer() {
  if (H["kind"] == "genesis" && body ~ /,"slow_signer":true,"software":"[a-z0-9_.+-]+"}$/) return 1
  return H["kind"] == "checkpoint" && body ~ /,"slow_signer":true,"token":(null|"[0-9a-f]+")}$/
}
function read_body() {
  if (H["kind"] == "token") {
    token()
    if (n == 1) { print token_imprint, token_reply > token_before; begun = "token" }
    if (!ended && stop != "null" && token_head == token_imprint && token_head in position && position[token_head] >= stop_n) { ended = n; print token_imprint, token_reply > token_after }
    return
  }
  begin(body, entry())
  if (H["kind"] == "recording.start") recording_start()
  else if (H["kind"] == "recording.stop") recording_stop()
  else if (H["kind"] == "segment.open") segment_open()
  else if (H["kind"] == "fragment") fragment()
  else if (H["kind"] == "segment.seal") segment_seal()
  else if (H["kind"] == "gap") gap()
  else if (slow_signer()) slow = 1
}
function clips(   c, r, f, k, blocks, frames, pre, count) {
  f = claim["before"] + 0
  for (c = 1; c <= clip_count; c++) {
    blocks = frames = pre = count = 0
    split(clip[c], C, " ")
    for (r = 1; r <= range_count[c]; r++) {
      split(range[c, r], R, " ")
      if (R[4] + 0 != 65536 * (1 + blocks)) bad("statement.json : position dans " C[1], "statement.json: offset in " C[1])
      for (k = 0; k < R[3]; k++) {
        f++; count++
        if (f > total || F_seg[f] != R[1] + 0 || F_n[f] != R[2] + k)
          bad("statement.json : les fragments de " C[1] " ne sont pas ceux du journal", "statement.json: the fragments of " C[1] " are not those of the journal")
        if (init_hash[F_seg[f]] != C[6] || init_size[F_seg[f]] != C[7])
          bad("statement.json : " C[2] " n’est pas celui du segment " F_seg[f], "statement.json: " C[2] " is not the one of segment " F_seg[f])
        print C[1], F_seq[f], 1 + blocks, F_blocks[f], F_plain[f] > to_hash
        blocks += F_blocks[f]; frames += F_frames[f]; pre += F_pre[f]
      }
    }
    if (count != C[3] + 0 || frames != C[4] + 0 || pre != C[5] + 0)
      bad("statement.json : les comptes de " C[1] " ne sont pas ceux du journal", "statement.json: the counts of " C[1] " are not those of the journal")
    if (!shown) shown = f - count + 1
    print C[1], C[2], C[6], C[7], 1 + blocks, C[8], C[9], C[10], C[11] > clip_files
    all_frames += frames; all_pre += pre
  }
  if (f + claim["after"] != total) bad("statement.json : cut", "statement.json: cut: " (total - f) " fragments follow the clips")
  print "shown", f - claim["before"]
  print "total", total; print "frames", all_frames; print "pre", all_pre
  print "from", F_utc[shown]
  print "to", F_utc[f], sprintf("%.0f", F_length[f] / 1000000)
  print "press", sprintf("%.3f", (press - F_start[shown]) / 1000000000)
}
BEGIN {
  kinds = " genesis boot checkpoint policy dock undock beacon token ack assign receipt hold selftest alert refused recording.start segment.open fragment segment.seal segment.recovered gap mark notice place recording.stop purge expire trim orphan config update key.rotate reset shutdown "
  while ((getline line < claims) > 0) {
    at = index(line, " "); name = substr(line, 1, at - 1); value = substr(line, at + 1)
    if (name == "clip") clip[++clip_count] = value
    else if (name == "range") range[clip_count, ++range_count[clip_count]] = value
    else claim[name] = value
  }
  stop = "null"; begun = "first"; segment = -1; total = waiting = unsigned = weak = withheld = hidden = gap_count = started = inside = slow = gap_open = 0; gaps = ""
  while ((getline line < journal) > 0) {
    n++
    split(line, column, "\t"); signature = column[2]; body = column[3]
    if ((getline line < head_hashes) != 1) exit 2
    this = substr(line, 1, 64)
    if ((getline line < body_hashes) != 1) exit 2
    body_hash = substr(line, 1, 64)
    H["seq"] = "?"; begin(column[1], "journal.log ligne|line " n); head()
    chain(n); signed(n)
    digest = this; position[digest] = n
    if (H["kind"] == "genesis") begun = "genesis"
    if (H["kind"] == "key.rotate") no("changement de clé : employer temoin verify", "the key changes here: use temoin verify")
    if (body != "-") read_body()
  }
  if (n == 0 || H["seq"] != claim["last"]) bad("journal.log : la dernière entrée n’est pas " claim["last"], "journal.log: the last entry is not " claim["last"])
  if (digest != claim["head"]) no("son hash n’est pas la tête déclarée", "its hash is not the head that the statement names")
  if (waiting) no("aucune signature ne suit", "no signature follows")
  if (unsigned && !slow) { H["seq"] = unsigned_first; no("sans signature, et la caméra n’est pas déclarée lente", "not signed, and the camera declares no slow signer") }
  if (!started) bad("journal.log : recording.start absent", "journal.log: no recording.start of the recording")
  if (total == 0) bad("journal.log : aucun fragment", "journal.log: no fragment of the recording")
  if (stop != claim["stop"]) bad("statement.json : stop n’est pas celui du journal", "statement.json: stop is not that of the journal")
  if (gaps != claim["gaps"]) bad("statement.json : gaps ne sont pas ceux du journal", "statement.json: gaps are not those of the journal")
  clips()
  print "entries", n; print "begun", begun; print "ended", (ended ? "token" : "head"); print "withheld", withheld; print "hidden", hidden
  print "weak", weak; print "unsigned", unsigned; print "gap_count", gap_count; print "stop_cause", (stop == "null" ? "none" : stop_cause)
}
'

run_awk() { # PROGRAM, then -v assignments and files: a failure that awk wrote down is ours; any other is unexpected
  program=$1
  shift
  if ! awk -v failure="$failure" "$@" "$library$program" 2>"$tmp/said"; then
    [ -s "$failure" ] || unable "awk n’a pas pu lire le dossier" "awk could not read the bundle: $(head -c 200 "$tmp/said" | tr -cd ' -~')"
    { read -r french && read -r english; } <"$failure"
    fail "$french" "$english"
  fi
}
claim() { # KEY: one value of statement.json
  while read -r name value; do [ "$name" != "$1" ] || printf '%s' "$value"; done <"$tmp/claims"
}
found() { # KEY: one value of journal.log
  while read -r name value; do [ "$name" != "$1" ] || printf '%s' "$value"; done <"$tmp/found"
}
plain_text() { # FILE: no control character but tab and newline, and ends in a newline
  [ -s "$1" ] && [ "$(tr -d '\n\t\040-\176\200-\377' <"$1" | wc -c)" -eq 0 ] &&
    [ "$(tail -c 1 "$1" | od -An -tx1 | tr -d ' ')" = 0a ] ||
    fail "$1 : octets inattendus" "$1: unexpected bytes (control characters, CRLF, or an incomplete last line)"
}
role_of() { # CERTIFICATE: prints "kind id" of the one SAN URI of a signing certificate, nothing if it is none
  openssl x509 -in "$1" -noout -ext subjectAltName 2>/dev/null | awk '
    NR == 1 && !/^X509v3 Subject Alternative Name:/ { exit }
    NR == 2 && /^ *URI:urn:temoin:[a-z-]+:[a-z0-9-]+$/ { sub(/^ *URI:urn:temoin:/, ""); sub(/:/, " "); role = $0 }
    END { if (NR == 2) print role }'
}
signs_for_temoin() { # CERTIFICATE: the critical extended key usage of signing certificates and no other
  openssl x509 -in "$1" -noout -ext extendedKeyUsage 2>/dev/null | awk '
    NR == 1 && /^X509v3 Extended Key Usage: critical$/ { critical = 1 }
    NR == 2 && /^ *2\.25\.302571634459297280614664192622437595268$/ { usage = 1 }
    END { exit !(NR == 2 && critical && usage) }'
}
stamped_at() { # REPLY: the time of a time-stamp reply, in seconds since 1970
  text=$(openssl ts -reply -in "$1" -text 2>/dev/null | awk '
    /^Time stamp: [A-Z][a-z][a-z] +[0-9]+ [0-9][0-9]:[0-9][0-9]:[0-9][0-9](\.[0-9]+)? [0-9][0-9][0-9][0-9] GMT$/ {
      sub(/\..* /, " ", $5); sub(/\.[0-9]+$/, "", $5); print $4, $3, $6, $5, "UTC"; exit }')
  [ -n "$text" ] && date -u -d "$text" +%s 2>/dev/null
}
day() { date -u -d "@$1" '+%Y-%m-%d %H:%M:%S UTC'; }

# --- 1: the agency ---
for file in agency.pem camera.pem statement.json statement.p7s journal.log; do need "$file"; done
# The first certificate of the file alone is the anchor: whatever follows it in agency.pem is trusted by nobody.
quiet openssl x509 -in agency.pem -out "$tmp/root.pem" || fail 'agency.pem : certificat illisible' 'agency.pem: no readable certificate'
quiet openssl x509 -in "$tmp/root.pem" -outform DER -out "$tmp/root.der" || unable 'openssl x509' 'openssl x509'
[ "$(hash_of "$tmp/root.der")" = "$wanted" ] ||
  fail "agency.pem : ce n’est pas le certificat publié (SHA-256 différent)" 'agency.pem: not the published certificate (another SHA-256)'
agency=$(role_of "$tmp/root.pem")
case $agency in 'ca '*) agency=${agency#ca } ;; *) fail 'agency.pem : pas une autorité de Témoin' 'agency.pem: no authority of Témoin (role)' ;; esac
pass "agency.pem est le certificat publié de l’agence $agency" "agency.pem is the published certificate of agency $agency"

# --- 2: the chain of the journal, and what the statement says of it ---
[ "$(size_of statement.json)" -le 262144 ] || fail 'statement.json : trop long' 'statement.json: too long'
[ "$(tr -d '\040-\176\200-\377' <statement.json | wc -c)" -eq 0 ] || fail 'statement.json : octets inattendus' 'statement.json: unexpected bytes'
cat statement.json >"$tmp/statement.json"
run_awk "$read_statement" <"$tmp/statement.json" >"$tmp/claims"
plain_text journal.log
folders=$(($(wc -l <journal.log) / 1000))
number=0
while [ "$number" -le "$folders" ]; do
  group=$(printf '%04d' "$number")
  mkdir -p "$tmp/heads/$group" "$tmp/bodies/$group" "$tmp/signatures/$group"
  number=$((number + 1))
done
run_awk "$split_journal" -v heads="$tmp/heads" -v bodies="$tmp/bodies" -v signatures="$tmp/signatures" <journal.log
for column in heads bodies; do
  for group in "$tmp/$column"/*/; do
    (cd "$group" && set -- * && { [ ! -f "$1" ] || sha256sum "$@"; })
  done >"$tmp/$column.sum"
done
: >"$tmp/to_verify"
run_awk "$read_journal" -v journal=journal.log -v claims="$tmp/claims" -v head_hashes="$tmp/heads.sum" \
  -v body_hashes="$tmp/bodies.sum" -v to_verify="$tmp/to_verify" -v to_hash="$tmp/to_hash" -v clip_files="$tmp/clip_files" \
  -v token_before="$tmp/token_before" -v token_after="$tmp/token_after" >"$tmp/found"
entries=$(found entries) dev=$(claim dev)
[ "$agency" = "$(claim agency)" ] || fail 'statement.json : autre agence' 'statement.json: another agency'
pass "journal de $dev : $entries entrées enchaînées, corps conformes, les chiffres de statement.json en découlent" \
  "journal of $dev: $entries entries chained, bodies as hashed, the figures of statement.json follow from it"

# --- 3: the time stamps that are in the journal ---
now=$(date +%s) at='' not_before=''
check_reply() { # NAME FILE IMPRINT BASE64: the reply beside the journal is the one inside, and is over that hash
  [ "$(claim "token_$1")" != null ] || fail "statement.json : $2 n’est pas déclaré" "statement.json: $2 is not named, but the journal holds its token"
  for file in "$2" tsa.pem; do need "$file"; done
  printf '%s' "$4" | base64 -d >"$tmp/inside.tsr" 2>/dev/null || fail "$2 : base64 du journal" "$2: base64 in the journal"
  [ "$(hash_of "$2")" = "$(hash_of "$tmp/inside.tsr")" ] && [ "$(hash_of "$2")" = "$(claim "token_$1")" ] ||
    fail "$2 : n’est pas le jeton du journal" "$2: not the token that the journal holds"
  [ "$(hash_of tsa.pem)" = "$(claim token_roots)" ] || fail 'tsa.pem : autre que déclaré' 'tsa.pem: not the one that the statement names'
  stamp=$(stamped_at "$2") || fail "$2 : heure illisible" "$2: no readable time"
  quiet openssl ts -verify -digest "$3" -in "$2" -CAfile tsa.pem -attime "$stamp" ||
    fail "$2 : jeton non valable" "$2: the token does not verify against tsa.pem and the hash in the journal"
}
if [ "$(found begun)" = token ]; then
  read -r imprint reply <"$tmp/token_before"
  check_reply before before.tsr "$imprint" "$reply"
  not_before=$stamp
elif [ "$(claim token_before)" != null ]; then
  fail 'statement.json : before.tsr sans jeton au journal' 'statement.json: before.tsr, but no token at the start of the journal'
fi
if [ "$(found ended)" = token ]; then
  read -r imprint reply <"$tmp/token_after"
  check_reply after after.tsr "$imprint" "$reply"
  at=$stamp
elif [ "$(claim token_after)" != null ]; then
  fail 'statement.json : after.tsr sans jeton au journal' 'statement.json: after.tsr, but no token after the recording in the journal'
fi
if [ -n "$at" ]; then
  pass "horodatage : le journal jusqu’à la fin de l’enregistrement existait le $(day "$at")" "time stamp: the journal up to the end of the recording existed on $(day "$at")"
else
  pass 'aucun jeton d’horodatage après l’enregistrement : certificats contrôlés à l’heure présente' \
    'no time-stamp token after the recording: certificates are checked at the present time'
fi
[ -z "$not_before" ] || note "et rien après son début n’est antérieur au $(day "$not_before")" "and nothing after its beginning is older than $(day "$not_before")"

# --- 4: who exported ---
# Only this root counts: without -no-CApath and -no-CAstore the system's own authorities would do as well.
check_statement() { # TIME
  quiet openssl cms -verify -binary -inform PEM -in statement.p7s -content "$tmp/statement.json" -CAfile "$tmp/root.pem" \
    -no-CApath -no-CAstore -purpose any -attime "$1" -signer "$tmp/signer.pem" -out "$tmp/signed.json"
}
when=${at:-$now}
if ! check_statement "$when"; then
  # The export may be younger than the token, and its certificate too: then the present time decides.
  when=$now
  check_statement "$when" || fail "statement.p7s : signature ou certificat non valable" 'statement.p7s: the signature or its certificate does not verify'
fi
[ "$(hash_of "$tmp/signed.json")" = "$(hash_of statement.json)" ] || fail 'statement.p7s : signe autre chose' 'statement.p7s: signs something else than statement.json'
[ "$(awk '/^-----BEGIN CERTIFICATE-----$/ { n++ } END { print n + 0 }' "$tmp/signer.pem")" = 1 ] ||
  fail 'statement.p7s : pas un seul signataire' 'statement.p7s: not exactly one signer'
exporter=$(claim exporter)
[ "$(role_of "$tmp/signer.pem")" = "export $exporter" ] ||
  fail "statement.p7s : le signataire n’a pas le rôle export:$exporter" "statement.p7s: the signer does not have the role export:$exporter"
signs_for_temoin "$tmp/signer.pem" || fail 'statement.p7s : usage du certificat' 'statement.p7s: extended key usage of the signer'
pass "statement.json signé par $exporter, rôle export, certificat valable le $(day "$when")" "statement.json signed by $exporter, role export, certificate valid on $(day "$when")"

# --- 5: whose camera ---
quiet openssl x509 -in camera.pem -out "$tmp/camera.pem" && quiet openssl x509 -in "$tmp/camera.pem" -outform DER -out "$tmp/camera.der" &&
  openssl x509 -in "$tmp/camera.pem" -noout -pubkey >"$tmp/camera.pub" 2>/dev/null ||
  fail 'camera.pem : certificat illisible' 'camera.pem: no readable certificate'
[ "$(hash_of "$tmp/camera.der")" = "$(claim camera)" ] || fail 'camera.pem : autre que déclaré' 'camera.pem: not the one that the statement names'
quiet openssl verify -CAfile "$tmp/root.pem" -no-CApath -no-CAstore -attime "${at:-$now}" -untrusted camera.pem "$tmp/camera.pem" ||
  fail "camera.pem : pas de chaîne valable vers l’agence le $(day "${at:-$now}")" "camera.pem: no valid chain to the agency on $(day "${at:-$now}")"
simulated=no
case $(role_of "$tmp/camera.pem") in
  "camera $dev") ;;
  "sim $dev") simulated=yes ;;
  *) fail "camera.pem : le rôle n’est pas camera:$dev" "camera.pem: the role is not camera:$dev" ;;
esac
signs_for_temoin "$tmp/camera.pem" || fail 'camera.pem : usage du certificat' 'camera.pem: extended key usage'
[ "$simulated" = no ] || [ "$simulated_allowed" = yes ] ||
  fail "SIMULATED : camera.pem est d’une caméra simulée, ce n’est pas une preuve" 'SIMULATED: camera.pem is of a simulated board, this is no evidence'
pass "camera.pem est de la caméra $dev, émis par l’agence" "camera.pem is of the camera $dev, issued by the agency"

# --- 6: what the camera signed ---
while read -r number sequence; do
  name=$(printf '%04d/%08d' "$(((number - 1) / 1000))" "$number")
  base64 -d <"$tmp/signatures/$name" >"$tmp/signature" 2>/dev/null &&
    quiet openssl dgst -sha256 -verify "$tmp/camera.pub" -signature "$tmp/signature" "$tmp/heads/$name" ||
    fail "journal.log entrée $sequence : la signature n’est pas celle de camera.pem" "journal.log entry $sequence: the signature is not of camera.pem"
done <"$tmp/to_verify"
[ "$(hash_of journal.log)" = "$(claim journal)" ] ||
  fail "journal.log : autre que celui que l’exportateur a signé" 'journal.log: not the one that the exporter signed'
pass "$(wc -l <"$tmp/to_verify" | tr -d ' ') signatures de la caméra vérifiées, $(found unsigned) fragments couverts par la suivante" \
  "$(wc -l <"$tmp/to_verify" | tr -d ' ') signatures of the camera verified, $(found unsigned) fragments covered by the next one"

# --- 7: the pictures ---
checked=''
while read -r clip init init_hash init_size blocks moov_hash moov_size clip_hash clip_size; do
  need "$clip"
  need "$init"
  [ "$(size_of "$init")" = "$init_size" ] && [ "$(hash_of "$init")" = "$init_hash" ] ||
    fail "$init : autre que celui de segment.open" "$init: not the one of segment.open"
  while read -r name sequence skip count plain; do
    [ "$name" = "$clip" ] || continue
    [ "$(dd if="$clip" bs=65536 skip="$skip" count="$count" 2>/dev/null | sha256sum | cut -c 1-64)" = "$plain" ] ||
      fail "$clip : les octets à la position $((skip * 65536)) ne sont pas ceux de l’entrée $sequence" \
        "$clip: the bytes at offset $((skip * 65536)) are not those of entry $sequence"
  done <"$tmp/to_hash"
  [ "$(size_of "$clip")" = "$clip_size" ] && [ "$clip_size" = "$((blocks * 65536 + moov_size))" ] ||
    fail "$clip : taille" "$clip: its size is not fragments and moov"
  [ "$(tail -c "$moov_size" "$clip" | sha256sum | cut -c 1-64)" = "$moov_hash" ] ||
    fail "$clip : moov autre que déclaré" "$clip: moov is not the one that the statement names"
  [ "$(hash_of "$clip")" = "$clip_hash" ] || fail "$clip : autre que déclaré (début du fichier)" "$clip: not the file that the statement names (its front)"
  checked="$checked $clip $init"
done <"$tmp/clip_files"
read -r utc error source ahead <<END
$(found from)
END
pass "images : $(found shown) fragments sur $(found total) de l’enregistrement, $(found frames) images, octet pour octet comme signés" \
  "pictures: $(found shown) of the recording's $(found total) fragments, $(found frames) frames, byte for byte as signed"
if [ "$utc" != null ]; then
  began=$(date -u -d "$utc" +%s 2>/dev/null) || fail "journal.log : heure $utc" "journal.log: time $utc"
  note "début selon la caméra : $(day "$((began - ahead / 1000))") à $error ms près (source : $source)" "begins, as the camera says: $(day "$((began - ahead / 1000))") within $error ms (source: $source)"
else
  note "la caméra ne connaissait pas l’heure" 'the camera did not know the time'
fi
note "appui de l’agent $(found press) s après le début ; $(found pre) fragments d’avant l’appui ; $(found gap_count) coupures annoncées" \
  "press $(found press) s after the beginning; $(found pre) fragments from before it; $(found gap_count) gaps named"

# --- what follows, and what does not ---
[ "$simulated" = no ] || printf '%s\n' 'SIMULATED  caméra simulée : pas une preuve | simulated board: no evidence'
printf '%s\n' 'NON PROUVE | NOT PROVEN'
note 'la scène, un objectif couvert, un appui omis, une coupure volontaire du courant, l’identité du porteur' \
  'the scene, a covered lens, a press not made, power cut on purpose, the identity of the wearer'
note 'l’honnêteté de qui détient la clé de la caméra ou celle de l’agence' 'the honesty of whoever holds the key of the camera or of the agency'
note 'que moov range les images dans leur ordre : temoin verify le redérive' 'that moov lists the frames in their order: temoin verify derives it again'
if [ -n "$at" ]; then
  note "tsa.pem : comparer son SHA-256 $(hash_of tsa.pem)" 'tsa.pem: compare its SHA-256 with the published one'
  note "à quelle date l’export fut signé" 'when the export was signed'
else
  note 'que l’enregistrement existait avant aujourd’hui : aucun jeton' 'that the recording existed before today: no token'
fi
[ -n "$not_before" ] || note 'que l’enregistrement n’est pas antérieur à sa date : aucun jeton avant lui' 'that the recording is not older than it says: no token before it'
[ "$(found begun)" != first ] || note 'ce qui précède la première entrée' 'what came before the first entry'
[ "$(found stop_cause)" = hold ] || note "fin normale de l’enregistrement (cause : $(found stop_cause))" "a regular end of the recording (cause: $(found stop_cause))"
[ "$(found weak)" = 0 ] || note "$(found weak) fragments signés seulement après un redémarrage" "$(found weak) fragments vouched for only after a restart (weak)"
[ "$(found withheld)" = 0 ] || note "$(found withheld) corps d’entrées retenus (dont $(found hidden) pendant l’enregistrement)" "$(found withheld) bodies withheld ($(found hidden) of them during the recording)"
[ "$(found shown)" = "$(found total)" ] || note 'le reste de l’enregistrement : extrait partiel' 'the rest of the recording: the clip is a cut'
[ "$(claim verdict)" = VALID ] || note "l’exportateur dit de l’ensemble des données : $(claim verdict)" "the exporter says of the whole data folder: $(claim verdict)"
others=0
for file in *; do
  case " agency.pem camera.pem statement.json statement.p7s journal.log CHECK.txt check.sh $checked " in *" $file "*) continue ;; esac
  case $file in before.tsr) [ -z "$not_before" ] || continue ;; after.tsr) [ -z "$at" ] || continue ;; tsa.pem) [ -z "$at$not_before" ] || continue ;; esac
  others=$((others + 1))
done
[ "$others" = 0 ] || note "$others autres fichiers du dossier" "$others other files of the folder"
printf '%s\n' "CONFORME  tout ce qui précède a été vérifié | PASSED  all of the above was checked"
