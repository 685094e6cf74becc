package config

import (
	"fmt"
	"strings"
)

// The most bytes of an id, and of one value of meta.
const (
	maxID   = 255
	maxMeta = 4096
)

func parseID(text string, _ *key) (any, *problem) {
	if len(text) > maxID || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, &problem{quote(text) + " is not an id", fmt.Sprintf("write at most %d printable characters of ASCII, without spaces", maxID)}
	}
	return text, nil
}

func parseMeta(text string, _ *key) (any, *problem) {
	if len(text) > maxMeta {
		return nil, &problem{fmt.Sprintf("has %d bytes, over the maximum %d", len(text), maxMeta), "keep it elsewhere, and write where"}
	}
	return text, nil
}
