package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

// The log begins with a line that names its format, and goes on with frames: the length of a record, a
// checksum of the record, a checksum of those two, each 4 bytes, little end first, and the record as
// JSON.
const (
	logHeader   = "weir state.log 1\n"
	logKind     = "weir state.log "
	frameHeader = 12
	// maxRecord bounds one record, so that a length that is damaged does not look like one.
	maxRecord = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame is a record as it is written.
func frame(r record) ([]byte, error) {
	payload, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(payload) > maxRecord {
		return nil, fmt.Errorf("one change has %d bytes, more than %d", len(payload), maxRecord)
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, frameHeader+len(payload)), uint32(len(payload)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(payload, castagnoli))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return append(b, payload...), nil
}

// unframe returns the record that data begins with, and how long its frame is; false if there is no whole
// one.
func unframe(data []byte) (payload []byte, length int, ok bool) {
	if len(data) < frameHeader || crc32.Checksum(data[:8], castagnoli) != binary.LittleEndian.Uint32(data[8:]) {
		return nil, 0, false
	}
	size := binary.LittleEndian.Uint32(data)
	if size == 0 || size > maxRecord || int(size) > len(data)-frameHeader {
		return nil, 0, false
	}
	payload = data[frameHeader : frameHeader+int(size)]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(data[4:]) {
		return nil, 0, false
	}
	return payload, frameHeader + int(size), true
}

// logged is what a log has.
type logged struct {
	records []record
	size    int64 // of the part that is whole
	torn    int64 // bytes behind it: a change that was not finished, and so was not answered
}

// readLog reads a log. What is torn at its end is left out. A record that is damaged and has whole ones
// behind it is an error.
func readLog(data []byte) (logged, error) {
	if len(data) < len(logHeader) && bytes.HasPrefix([]byte(logHeader), data) {
		return logged{torn: int64(len(data))}, nil // it was being made
	}
	if !bytes.HasPrefix(data, []byte(logHeader)) {
		if bytes.HasPrefix(data, []byte(logKind)) {
			return logged{}, errNewer
		}
		return logged{}, fmt.Errorf("it is not what weir has written; move it away, or restore it from a copy")
	}
	l := logged{size: int64(len(logHeader))}
	for {
		rest := data[l.size:]
		if len(rest) == 0 {
			return l, nil
		}
		payload, length, ok := unframe(rest)
		if !ok {
			if wholeBehind(rest) {
				return logged{}, fmt.Errorf("it is damaged at byte %d, and there are changes behind that; restore it from a copy, or move it away to go on with state.json, without the %s before the damage and all behind it",
					l.size, plural(len(l.records), "change"))
			}
			l.torn = int64(len(rest))
			return l, nil
		}
		var r record
		if err := json.Unmarshal(payload, &r); err != nil {
			return logged{}, fmt.Errorf("the change at byte %d is not what weir has written: %w", l.size, err)
		}
		l.records = append(l.records, r)
		l.size += int64(length)
	}
}

// wholeBehind reports whether a whole frame begins anywhere in data but at its beginning.
func wholeBehind(data []byte) bool {
	for i := 1; i+frameHeader < len(data); i++ {
		if _, _, ok := unframe(data[i:]); ok {
			return true
		}
	}
	return false
}
