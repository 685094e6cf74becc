package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// kind is the type of a key.
type kind uint8

const (
	kindObject kind = iota // fixed keys
	kindMap                // names that the user chooses
	kindList
	kindText
	kindBool
	kindInt
	kindFloat
	kindPercent
	kindDuration
	kindSize
	kindEnum
	kindReference
	kindFile
	kindOutput
	kindListen
	kindAddress
	kindIP
	kindPrefix
	kindHost
	kindHostPort
	kindHostPattern
	kindURLPath
	kindTarget
	kindMethod
	kindFieldValue
	kindRegexp
	kindStatus
	kindPayload
	kindExpect
)

// scalar reports whether values of k are written as one scalar.
func (k kind) scalar() bool { return k > kindList }

// problem says what is wrong with a value, to follow its path and text, and what to do about it.
type problem struct {
	text string
	hint string
}

// kindInfo is what there is to know about one kind.
type kindInfo struct {
	name    string // for people, with its article: "a duration"
	example string // how it is written
	zero    any    // value of a key that is neither given nor has a default
	schema  string // expression for texts in the JSON Schema; empty: any text
}

// kinds describes the kinds. It is never changed.
var kinds = [...]kindInfo{
	kindObject:      {name: "a mapping"},
	kindMap:         {name: "a mapping"},
	kindList:        {name: "a list"},
	kindText:        {name: "a text", zero: ""},
	kindBool:        {name: "true or false", example: "true or false", zero: false},
	kindInt:         {name: "a whole number", example: "10", zero: int64(0), schema: `^[0-9]+$`},
	kindFloat:       {name: "a number", example: "0.5", zero: 0.0},
	kindPercent:     {name: "a percentage", example: "20%", zero: 0.0, schema: `^[0-9]+(\.[0-9]+)?%$`},
	kindDuration:    {name: "a duration", example: "250ms, 5s or 10m", zero: time.Duration(0), schema: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`},
	kindSize:        {name: "a size", example: "64KiB or 1024", zero: int64(0), schema: `^[0-9]+ ?([Bb]|[KkMmGgTt][Ii][Bb])?$`},
	kindEnum:        {name: "a word", zero: ""},
	kindReference:   {name: "the name of a pool", zero: ""},
	kindFile:        {name: "a path", example: "/etc/weir/x", zero: ""},
	kindOutput:      {name: "an output", example: "stdout", zero: ""},
	kindListen:      {name: "an IP:port", example: "10.0.0.1:8080 or :8080", zero: ""},
	kindAddress:     {name: "an IP:port", example: "10.0.0.11:8080"},
	kindIP:          {name: "an IP address", example: "10.0.0.11"},
	kindPrefix:      {name: "a network", example: "10.0.0.0/8"},
	kindHost:        {name: "a host name", example: "app.example", zero: ""},
	kindHostPort:    {name: "a host name", example: "app.example", zero: ""},
	kindHostPattern: {name: "a host name", example: "app.example or *.example", zero: ""},
	kindURLPath:     {name: "a path", example: "/api", zero: "", schema: `^(/.*)?$`},
	kindTarget:      {name: "a request target", example: "/healthz?full=1", zero: "", schema: `^/`},
	kindMethod:      {name: "a method", example: "GET", zero: "", schema: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
	kindFieldValue:  {name: "a field value", example: "text/plain", zero: ""},
	kindRegexp:      {name: "a regular expression", example: "^ok", zero: ""},
	kindStatus:      {name: "a status", example: `200, 200-299 or "!204"`, schema: `^!?[1-5][0-9][0-9](-[1-5][0-9][0-9])?$`},
	kindPayload:     {name: "a payload", example: "PING or hex:50494e47", zero: []byte(nil)},
	kindExpect:      {name: "an expectation", example: "^PONG or hex:504f4e47", zero: Expect{}},
}

// parsers read text that has been expanded already. They check neither bounds nor words. The array
// is never changed.
var parsers = [...]func(text string, k *key) (any, *problem){
	kindText:        parseText,
	kindBool:        parseBool,
	kindInt:         parseInt,
	kindFloat:       parseFloat,
	kindPercent:     parsePercent,
	kindDuration:    parseDuration,
	kindSize:        parseSize,
	kindEnum:        parseText,
	kindReference:   parseText,
	kindFile:        parseFile,
	kindOutput:      parseOutput,
	kindListen:      parseListen,
	kindAddress:     parseAddress,
	kindIP:          parseIP,
	kindPrefix:      parsePrefix,
	kindHost:        parseHost,
	kindHostPort:    parseHostPort,
	kindHostPattern: parseHostPattern,
	kindURLPath:     parseURLPath,
	kindTarget:      parseTarget,
	kindMethod:      parseMethod,
	kindFieldValue:  parseFieldValue,
	kindRegexp:      parseRegexp,
	kindStatus:      parseStatus,
	kindPayload:     parsePayload,
	kindExpect:      parseExpect,
}

// parse reads one scalar of k: its text, its word and its bounds.
func (k *key) parse(text string) (any, *problem) {
	if k.kind == kindEnum {
		return k.parseEnum(text)
	}
	v, p := parsers[k.kind](text, k)
	if p != nil {
		return nil, p
	}
	if p := k.checkBounds(text, v); p != nil {
		return nil, p
	}
	return v, nil
}

// parseEnum accepts a word in any letter case and returns it as the table writes it.
func (k *key) parseEnum(text string) (any, *problem) {
	for _, word := range k.enum {
		if strings.EqualFold(word, text) {
			return word, nil
		}
	}
	for _, word := range k.later {
		if strings.EqualFold(word, text) {
			return nil, &problem{
				text: word + " is not supported by this version",
				hint: "this version has " + orList(k.enum),
			}
		}
	}
	hint := "allowed: " + strings.Join(k.enum, ", ")
	if near := closest(text, k.enum); near != "" {
		hint = fmt.Sprintf("did you mean %q? (%s)", near, hint)
	}
	return nil, &problem{text: fmt.Sprintf("%s is not one of the allowed words", quote(text)), hint: hint}
}

// checkBounds compares a number with its row; other values have no bounds.
func (k *key) checkBounds(text string, v any) *problem {
	if k.min == "" && k.max == "" {
		return nil
	}
	n := asInt64(v)
	if n == 0 && k.zero != "" {
		return nil
	}
	switch {
	case k.max != "" && n > k.maxValue:
		return &problem{text: fmt.Sprintf("%s is over the maximum %s", shorten(text), k.max), hint: "allowed: " + k.boundsText()}
	case k.min != "" && n < k.minValue:
		return &problem{text: fmt.Sprintf("%s is under the minimum %s", shorten(text), k.min), hint: "allowed: " + k.boundsText()}
	}
	return nil
}

// boundsText writes the bounds for people: "1ms … 24h, or 0 (no time-out)".
func (k *key) boundsText() string {
	if k.min == "" && k.max == "" {
		return ""
	}
	s := k.min + " … " + k.max
	if k.zero != "" {
		s += ", or 0 (" + k.zero + ")"
	}
	return s
}

// asInt64 makes numbers of every kind comparable; shares count in millionths of a percent.
func asInt64(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case time.Duration:
		return int64(n)
	case float64:
		return int64(math.Round(n * 1e8))
	}
	panic(fmt.Sprintf("config: %T has no order", v))
}

func parseText(text string, _ *key) (any, *problem) { return text, nil }

func parseBool(text string, _ *key) (any, *problem) {
	switch strings.ToLower(text) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, mismatch(text, kindBool)
}

func parseInt(text string, _ *key) (any, *problem) {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" || (len(digits) > 1 && digits[0] == '0') {
		return nil, mismatch(text, kindInt)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, &problem{text: shorten(text) + " is too large", hint: "write a smaller number"}
	}
	return n, nil
}

func parseFloat(text string, _ *key) (any, *problem) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1e9 {
		return nil, mismatch(text, kindFloat)
	}
	return f, nil
}

func parsePercent(text string, _ *key) (any, *problem) {
	digits, ok := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || math.IsNaN(f) || math.Abs(f) > 1e9 {
		return nil, mismatch(text, kindPercent)
	}
	return f / 100, nil
}

func parseDuration(text string, _ *key) (any, *problem) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return nil, &problem{text: shorten(text) + " has no unit", hint: fmt.Sprintf("write %ss or %sms", text, text)}
	}
	return nil, mismatch(text, kindDuration)
}

// sizeUnits are the units of sizes, lower case.
var sizeUnits = map[string]int64{"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}

func parseSize(text string, _ *key) (any, *problem) {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := strings.ToLower(strings.TrimSpace(text[len(digits):]))
	factor, known := sizeUnits[unit]
	if !known && len(unit) <= 2 && strings.Trim(unit, "kmgtb") == "" {
		return nil, &problem{
			text: fmt.Sprintf("%s has an ambiguous unit", quote(text)),
			hint: fmt.Sprintf("write %s%siB (units of 1024)", shorten(digits), strings.ToUpper(unit[:1])),
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if !known || err != nil {
		return nil, mismatch(text, kindSize)
	}
	if n > math.MaxInt64/factor || n < math.MinInt64/factor {
		return nil, &problem{text: shorten(text) + " is too large", hint: "write at most 1024TiB"}
	}
	return n * factor, nil
}

// mismatch is the problem of a text that is not of its kind at all.
func mismatch(text string, k kind) *problem {
	return &problem{
		text: fmt.Sprintf("%s is not %s", quote(text), kinds[k].name),
		hint: "write it like this: " + kinds[k].example,
	}
}

// quote quotes a value for a message, shortened.
func quote(s string) string { return strconv.Quote(shorten(s)) }

// shorten cuts a value for a message to at most 64 characters.
func shorten(s string) string {
	const most = 64
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// orList joins words for people: "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
