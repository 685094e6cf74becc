package config

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
)

// linker resolves aliases in the order of the file, so that an alias sees the anchors before it and
// never the one that it stands in.
type linker struct {
	src     *source
	aliases map[*ast.AliasNode]ast.Node
	anchors map[string]ast.Node
	err     *syntaxError
}

func (l *linker) node(n ast.Node) {
	switch v := n.(type) {
	case *ast.MappingNode:
		for _, e := range v.Values {
			l.node(e)
		}
	case *ast.MappingValueNode:
		l.node(v.Key)
		l.node(v.Value)
	case *ast.MappingKeyNode:
		l.node(v.Value)
	case *ast.SequenceNode:
		for _, e := range v.Values {
			l.node(e)
		}
	case *ast.TagNode:
		l.node(v.Value)
	case *ast.AnchorNode:
		l.node(v.Value)
		l.anchors[v.Name.GetToken().Value] = v.Value
	case *ast.AliasNode:
		l.alias(v)
	}
}

func (l *linker) alias(v *ast.AliasNode) {
	name := v.Value.GetToken().Value
	target, ok := l.anchors[name]
	if ok {
		l.aliases[v] = target
		return
	}
	if l.err == nil {
		l.err = &syntaxError{l.src.spanOf(v), fmt.Sprintf("the alias *%s has no anchor before it", shorten(name)), fmt.Sprintf("define it earlier in the same file: &%s", shorten(name))}
	}
}
