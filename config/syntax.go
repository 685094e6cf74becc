package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// syntaxError is what makes a file unreadable as YAML. There is one for a file at most, since
// whatever follows it is guesswork.
type syntaxError struct {
	at   span
	text string
	hint string
}

// document is a file that was parsed.
type document struct {
	root ast.Node // nil: empty
	// aliases leads from each alias to the value that it stands for.
	aliases map[*ast.AliasNode]ast.Node
}

// normalise brings data into the form in which positions are counted: no byte order mark, and
// line feeds only.
func normalise(data []byte) []byte {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
}

// parseDocument parses the text of src.
func parseDocument(src *source, data []byte) (*document, *syntaxError) {
	if e := checkBytes(src, data); e != nil {
		return nil, e
	}
	tokens := lexer.Tokenize(string(data))
	if e := checkTokens(src, tokens); e != nil {
		return nil, e
	}
	file, err := parseTokens(tokens)
	if err != nil {
		return nil, explainSyntax(src, err)
	}
	doc := &document{aliases: map[*ast.AliasNode]ast.Node{}}
	for _, d := range file.Docs {
		switch d.Body.(type) {
		case nil, *ast.DirectiveNode, *ast.CommentGroupNode:
			continue
		}
		if doc.root != nil {
			return nil, &syntaxError{src.spanOf(d.Body), "a second document in one file", "remove the --- line, or put what follows into a file of its own and include it"}
		}
		doc.root = d.Body
	}
	links := linker{src: src, aliases: doc.aliases, anchors: map[string]ast.Node{}}
	if doc.root != nil {
		links.node(doc.root)
	}
	return doc, links.err
}

// parseTokens runs the parser. It turns a panic into an error: the text is the user's, and no text
// may stop a running process at a reload.
func parseTokens(tokens token.Tokens) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, fmt.Errorf("the YAML parser gave up: %v", r)
		}
	}()
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// checkBytes refuses what is not text.
func checkBytes(src *source, data []byte) *syntaxError {
	valid := utf8.Valid(data)
	for i, line := range src.lines {
		for column, r := range []rune(line) {
			if r < ' ' && r != '\t' && r != '\r' || r == utf8.RuneError && !valid {
				return &syntaxError{span{src, i + 1, column + 1, 1}, "a character that is not text", "save the file as UTF-8; write control characters as escapes in double quotes"}
			}
		}
	}
	return nil
}

// explainSyntax adds a remedy to an error of the parser.
func explainSyntax(src *source, err error) *syntaxError {
	ye, ok := errors.AsType[yaml.Error](err)
	if !ok {
		return &syntaxError{span{src, 1, 1, 1}, "not valid YAML: " + err.Error(), "check indentation, quotes and brackets"}
	}
	e := &syntaxError{src.spanAt(ye.GetToken()), "not valid YAML: " + ye.GetMessage(), "check the indentation, quotes and brackets here and above"}
	line := ""
	if i := e.at.line - 1; i >= 0 && i < len(src.lines) {
		line = src.lines[i]
	}
	switch {
	case strings.Contains(line, "${"):
		e.hint = `put values with ${…} in quotes: "${VAR}"`
	case strings.Contains(line, "\t"):
		e.text, e.hint = "not valid YAML: a tab in the indentation", "indent with spaces"
	case strings.Contains(ye.GetMessage(), "mapping value is not allowed"):
		e.hint = `put values that contain ": " in quotes, and indent the keys of one mapping alike`
	case strings.Contains(ye.GetMessage(), "not found"), strings.Contains(ye.GetMessage(), "could not find end"):
		e.hint = "close what is opened here"
	}
	return e
}

// spanAt is the place of a token, kept inside the file whatever the parser says.
func (s *source) spanAt(t *token.Token) span {
	if t == nil || t.Position == nil {
		return span{s, 1, 1, 1}
	}
	line := min(max(t.Position.Line, 1), len(s.lines))
	length := s.widths[line-1]
	column := min(max(t.Position.Column, 1), length+1)
	width := len([]rune(t.Value))
	if quotedToken(t) {
		width += 2 // the quotes; escapes are shown longer than they count
	}
	return span{s, line, column, max(min(width, length-column+1), 1)}
}

// spanOf is the place of a node.
func (s *source) spanOf(n ast.Node) span {
	switch v := n.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return s.spanOf(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return s.spanOf(v.Key)
	case *ast.AliasNode:
		at := s.spanAt(v.GetToken())
		at.width += len([]rune(v.Value.GetToken().Value))
		return at
	}
	return s.spanAt(n.GetToken())
}
