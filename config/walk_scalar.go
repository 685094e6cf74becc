package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// scalar reads one scalar by its row.
func (w *walker) scalar(n ast.Node, v *value) {
	v.raw = v.key.defValue
	text, ok := w.text(n, v)
	if !ok {
		return
	}
	if p := checkStyle(n, v.key, text); p != nil {
		w.fail(v, v.at, v.path+" "+p.text, p.hint)
		return
	}
	raw, p := v.key.parse(text.text)
	if p != nil {
		message, hint := v.path+" "+p.text, p.hint
		if text.secret { // the problem would show what is in the file
			name := kinds[v.key.kind].name
			message = fmt.Sprintf("%s: the content of %s is not %s that is allowed here", v.path, quote(v.text), name)
			source := "variable"
			if strings.Contains(v.text, "${file:") {
				source = "file"
			}
			hint = strings.TrimSuffix(fmt.Sprintf("the %s must hold %s, like %s", source, name, kinds[v.key.kind].example), ", like ")
		}
		w.fail(v, v.at, message, hint)
		return
	}
	v.raw = raw
	if v.secret() && text.text == Masked {
		w.fail(v, v.at, fmt.Sprintf("%s is %q, which stands for a secret that is not shown", v.path, Masked), "give the secret itself")
	}
}

// text returns the expanded text of a scalar node.
func (w *walker) text(n ast.Node, v *value) (expansion, bool) {
	raw, ok := scalarText(n)
	if !ok {
		w.wrongShape(n, v)
		return expansion{}, false
	}
	out := w.expand.expand(raw, w.src)
	if out.problem != nil {
		w.fail(v, v.at, fmt.Sprintf("%s: %s", v.path, out.problem.text), out.problem.hint)
		return expansion{}, false
	}
	v.text = out.text
	if out.secret {
		v.text, v.hidden = raw, out.hidden
	}
	return out, true
}

// checkStyle compares how a scalar is written with what its row wants. A value that was expanded is
// text whatever it says.
func checkStyle(n ast.Node, k *key, text expansion) *problem {
	if text.changed {
		return nil
	}
	_, truth := n.(*ast.BoolNode)
	switch k.kind {
	case kindInt, kindFloat, kindBool:
		if isString(n) && quotedToken(n.GetToken()) {
			return &problem{fmt.Sprintf("%s is a text, not %s", quote(text.text), kinds[k.kind].name), "remove the quotes"}
		}
	case kindEnum:
		if truth {
			return &problem{text.text + " is a truth value, not a word", "allowed: " + strings.Join(k.enum, ", ")}
		}
	case kindPseudonym:
		if truth {
			return &problem{text.text + " is a truth value, not " + kinds[k.kind].name, "write it like this: " + kinds[k.kind].example}
		}
	case kindText, kindID, kindMeta, kindReference, kindFile, kindOutput, kindPayload, kindExpect, kindRegexp, kindPattern, kindBody, kindCookieName, kindFieldName, kindHost, kindHostPort, kindHostPattern, kindALPN:
		if truth {
			return &problem{text.text + " is a truth value, not " + kinds[k.kind].name, fmt.Sprintf("write it in quotes: %q", text.text)}
		}
	}
	return nil
}

// scalarText returns the text of a scalar as it was written.
func scalarText(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func isScalar(n ast.Node) bool {
	_, ok := scalarText(n)
	return ok
}

func isString(n ast.Node) bool {
	_, ok := n.(*ast.StringNode)
	return ok
}

func isSequence(n ast.Node) bool {
	_, ok := n.(*ast.SequenceNode)
	return ok
}

// shapeOf names the shape of a node for people.
func shapeOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "a truth value"
	case *ast.NullNode:
		return "nothing"
	}
	return "a text"
}
