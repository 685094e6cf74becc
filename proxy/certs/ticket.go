package certs

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
)

// ticketKeyBytes is the length of a key of session tickets.
const ticketKeyBytes = 32

// ticketKeys are keys that were given, the one that encrypts first; there is at least one.
type ticketKeys [][ticketKeyBytes]byte

// readTicketKeys takes the keys that are given and then those of files. No error shows a key.
func readTicketKeys(given [][]byte, files []string) (ticketKeys, error) {
	var keys ticketKeys
	for i, k := range given {
		key, ok := parseTicketKey(k)
		if len(k) == ticketKeyBytes {
			key, ok = [ticketKeyBytes]byte(k), true
		}
		if !ok {
			return nil, fmt.Errorf("ticket_keys[%d]: want %d bytes, raw or in hex or base64: make one with openssl rand -hex %[2]d", i, ticketKeyBytes)
		}
		keys = append(keys, key)
	}
	for _, path := range files {
		found, err := readTicketFile(path)
		if err != nil {
			return nil, fmt.Errorf("ticket_keys: %w", err)
		}
		keys = append(keys, found...)
	}
	for i, k := range keys {
		if slices.Contains(keys[:i], k) {
			return nil, fmt.Errorf("ticket_keys: key %d of all is there twice: remove one", i+1)
		}
	}
	return keys, nil
}

// readTicketFile reads a file of one raw key, or of a key in hex or base64 on each line.
func readTicketFile(path string) (ticketKeys, error) {
	text, err := readFile("file of keys", path)
	if err != nil {
		return nil, err
	}
	if len(text) == ticketKeyBytes {
		return ticketKeys{[ticketKeyBytes]byte(text)}, nil
	}
	var keys ticketKeys
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		key, ok := parseTicketKey(line)
		if !ok {
			return nil, fmt.Errorf("file of keys %s, line %d: want %d bytes in hex or base64: make one with openssl rand -hex %[3]d", path, n, ticketKeyBytes)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("file of keys %s: holds no key: make one with openssl rand -hex %d", path, ticketKeyBytes)
	}
	return keys, nil
}

// parseTicketKey decodes a key in hex or padded base64 of either alphabet.
func parseTicketKey(text []byte) (key [ticketKeyBytes]byte, ok bool) {
	if len(text) == hex.EncodedLen(ticketKeyBytes) {
		_, err := hex.Decode(key[:], text)
		return key, err == nil
	}
	if len(text) != base64.StdEncoding.EncodedLen(ticketKeyBytes) {
		return key, false
	}
	var decoded [ticketKeyBytes + 1]byte // the decoder wants room for the padding
	for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		if n, err := alphabet.Strict().Decode(decoded[:], text); err == nil && n == ticketKeyBytes {
			return [ticketKeyBytes]byte(decoded[:n]), true
		}
	}
	return key, false
}

// digest identifies the keys and their order; without keys it is zero.
func (k ticketKeys) digest() (sum [sha256.Size]byte) {
	if len(k) == 0 {
		return sum
	}
	h := sha256.New()
	for i := range k {
		h.Write(k[i][:])
	}
	h.Sum(sum[:0])
	return sum
}
