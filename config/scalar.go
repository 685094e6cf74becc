package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// problem says what is wrong with a value, to follow its path and text, and what to do about it.
type problem struct {
	text string
	hint string
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
		const most = 200 // a longer list hides the answer
		if hint = " (" + hint + ")"; len(hint) > most {
			hint = ""
		}
		hint = fmt.Sprintf("did you mean %q?%s", near, hint)
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
