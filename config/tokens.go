package config

import (
	"fmt"

	"github.com/goccy/go-yaml/token"
)

// maxDepth is how deep values may nest. The vocabulary needs 8.
const maxDepth = 32

// maxEntries is the most entries of one mapping or list. The parser takes time with the square of
// those of a mapping: measured, 0.7 s for 16,000 and 8 s for 32,000.
const maxEntries = 10000

// block is an open block collection.
type block struct{ column, entries int }

// tokenCheck looks at the tokens of a file in order.
type tokenCheck struct {
	src   *source
	open  []block // from the outermost
	flow  []int   // entries of the open flow collections, from the outermost
	marks int     // anchors, aliases and tags since the last entry
	colon int     // line of the last colon outside of flow collections
}

// checkTokens refuses what nests too deeply, is too large or cannot be valid, before the parser,
// which takes quadratic time on all of that, recurses into it.
func checkTokens(src *source, tokens token.Tokens) *syntaxError {
	c := &tokenCheck{src: src}
	for _, t := range tokens {
		if e := c.token(t); e != nil {
			return e
		}
	}
	return nil
}

func (c *tokenCheck) token(t *token.Token) *syntaxError {
	entries := 0
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		c.flow = append(c.flow, 1)
	case token.SequenceEndType, token.MappingEndType:
		c.flow = c.flow[:max(len(c.flow)-1, 0)]
	case token.AnchorType, token.TagType, token.AliasType:
		c.marks++
	case token.CollectEntryType:
		c.marks = 0
		if last := len(c.flow) - 1; last >= 0 {
			c.flow[last]++
			entries = c.flow[last]
		}
	case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
		if len(c.flow) > 0 {
			break
		}
		if t.Type == token.MappingValueType {
			if c.colon == t.Position.Line && !hasEntrySince(t) {
				return &syntaxError{c.src.spanAt(t), "a second \": \" on the line", "put the value in quotes, or the inner mapping on lines of its own"}
			}
			c.colon, c.marks = t.Position.Line, 0
		}
		entries = c.entry(t)
	}
	if entries > maxEntries {
		return &syntaxError{c.src.spanAt(t), fmt.Sprintf("more than %d entries in one mapping or list", maxEntries), "spread them over several files, and include those"}
	}
	if len(c.flow)+len(c.open)+c.marks > maxDepth {
		return &syntaxError{c.src.spanAt(t), fmt.Sprintf("nesting deeper than %d levels", maxDepth), "no configuration needs that: look for an unclosed bracket before this place"}
	}
	return c.neighbours(t)
}

// entry counts t, which begins an entry of a block collection, and returns how many that one has.
func (c *tokenCheck) entry(t *token.Token) int {
	column, entries := t.Position.Column, 1
	if t.Type == token.MappingValueType {
		column = lineColumn(t)
	}
	for len(c.open) > 0 && c.open[len(c.open)-1].column >= column {
		if last := c.open[len(c.open)-1]; last.column == column {
			entries += last.entries
		}
		c.open = c.open[:len(c.open)-1]
	}
	c.open = append(c.open, block{column, entries})
	return entries
}

// lineColumn is the column of the key that the colon t ends.
func lineColumn(t *token.Token) int {
	if t.Prev != nil && t.Prev.Position.Line == t.Position.Line {
		return t.Prev.Position.Column
	}
	return t.Position.Column
}

// hasEntrySince reports whether a flow collection or a list item stands between the colon before t,
// on the same line, and t.
func hasEntrySince(t *token.Token) bool {
	for p := t.Prev; p != nil && p.Position.Line == t.Position.Line; p = p.Prev {
		switch p.Type {
		case token.MappingValueType:
			return false
		case token.SequenceEntryType, token.MappingKeyType, token.SequenceEndType, token.MappingEndType:
			return true
		}
	}
	return true
}

// neighbours refuses two scalars in a row, as in: "a" "b".
func (c *tokenCheck) neighbours(t *token.Token) *syntaxError {
	p := t.Prev
	if p == nil || p.Position.Line != t.Position.Line || !quotedToken(t) || !quotedToken(p) {
		return nil
	}
	return &syntaxError{c.src.spanAt(t), "two texts in a row", "put one pair of quotes around all of it, or a comma between them"}
}

func quotedToken(t *token.Token) bool {
	return t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType
}
