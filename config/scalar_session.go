package config

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// keyBytes is the size of a key.
const keyBytes = 32

// parseKey reads a key in hexadecimal or base64, of either alphabet. No message shows it.
func parseKey(text string, _ *key) (any, *problem) {
	const hint = "make one with: openssl rand -hex 32"
	if len(text) == 2*keyBytes {
		data, err := hex.DecodeString(text)
		if err != nil {
			return nil, &problem{text: "is not hexadecimal", hint: hint}
		}
		return data, nil
	}
	alphabet := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		alphabet = base64.RawURLEncoding
	}
	data, err := alphabet.Strict().DecodeString(strings.TrimSuffix(text, "="))
	switch {
	case text == "":
		return nil, &problem{text: "is empty", hint: hint}
	case err != nil:
		return nil, &problem{text: "is neither hexadecimal nor base64", hint: hint}
	case len(data) != keyBytes:
		return nil, &problem{text: fmt.Sprintf("has %d bytes, not %d", len(data), keyBytes), hint: hint}
	}
	return data, nil
}

// The length of a token.
const (
	minToken = 16 // shorter ones can be guessed
	maxToken = 256
)

// parseToken reads a token, which is sent as it is in a field of a request. No message shows it.
func parseToken(text string, _ *key) (any, *problem) {
	const hint = "make one with: openssl rand -hex 32"
	switch {
	case text == "":
		return nil, &problem{text: "is empty", hint: hint}
	case strings.ContainsFunc(text, func(r rune) bool { return r < '!' || r > '~' }):
		return nil, &problem{text: "has a character that is not visible ASCII", hint: hint}
	case len(text) < minToken:
		return nil, &problem{text: fmt.Sprintf("has %d characters, under the minimum %d", len(text), minToken), hint: hint}
	case len(text) > maxToken:
		return nil, &problem{text: fmt.Sprintf("has %d characters, over the maximum %d", len(text), maxToken), hint: hint}
	}
	return text, nil
}

// maxCookieName is the longest name of a cookie, in bytes.
const maxCookieName = 255

// parseCookieName reads the name of a cookie, a token of RFC 6265, section 4.1.1.
func parseCookieName(text string, _ *key) (any, *problem) {
	switch {
	case !isToken(text):
		return nil, mismatch(text, kindCookieName)
	case len(text) > maxCookieName:
		return nil, &problem{text: fmt.Sprintf("has %d bytes, over the maximum %d", len(text), maxCookieName), hint: "use a shorter name"}
	}
	return text, nil
}

// parseCookiePath reads the Path attribute of a cookie, which another attribute must not follow.
func parseCookiePath(text string, k *key) (any, *problem) {
	if strings.Contains(text, ";") {
		return nil, &problem{text: fmt.Sprintf("%s has a character that ends the attribute", quote(text)), hint: "leave out the ;"}
	}
	return parseURLPath(text, k)
}
