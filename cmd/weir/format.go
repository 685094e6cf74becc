package main

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// indentStep is by how much each level is indented.
const indentStep = 2

// formatYAML lays a configuration out as the examples are: two spaces for a level, one space where one is
// enough, spaces within braces, none at the end of a line, at most one empty line at a time. Comments stay, and so
// does text in quotes and blocks. What cannot be done safely is an error: either the result says the same,
// value for value and comment for comment, or there is none.
func formatYAML(text []byte) ([]byte, error) {
	var before, after any
	if err := decode(text, &before); err != nil {
		return nil, fmt.Errorf("it is not valid YAML: %w", err)
	}
	out, comments := layOut(text)
	again, kept := layOut(out)
	if err := decode(out, &after); err != nil || !reflect.DeepEqual(before, after) || !slices.Equal(comments, kept) || !bytes.Equal(again, out) {
		return nil, errors.New("it uses YAML in a way that cannot be laid out safely; leave it as it is")
	}
	return out, nil
}

// layOut formats a text, and lists its comments.
func layOut(text []byte) (out []byte, comments []string) {
	f := &formatter{}
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\r\n", "\n")) {
		f.line(strings.TrimSuffix(line, "\n"))
	}
	f.flush(0)
	return append(bytes.TrimRight(f.out.Bytes(), "\n"), '\n'), f.comments
}

// formatter formats line after line.
type formatter struct {
	out     bytes.Buffer
	blank   bool     // an empty line is due
	pending []string // comments that stand alone, and empty lines between them: they belong to what follows
	columns []int    // where each level begins in the original
	shift   int      // by how much the line was moved on which brackets, quotes or a block opened
	block   int      // lines that are indented by more are of a block of text, if inBlock
	inBlock bool
	scanner
}

// line takes one line without its end.
func (f *formatter) line(line string) {
	content := strings.TrimLeft(line, " ")
	indent, trimmed := len(line)-len(content), strings.TrimRight(content, " \t")
	switch {
	case f.quote != 0: // its white space may be part of the text
		f.scan(line)
		f.out.WriteString(line + "\n")
	case f.inBlock && (trimmed == "" || indent > f.block):
		f.moved(indent, line[indent:])
	case f.depth > 0:
		f.moved(indent, f.scan(trimmed))
	default:
		f.inBlock = false
		f.outside(indent, trimmed)
	}
}

// moved writes a line that belongs to one before it, moved as that was.
func (f *formatter) moved(indent int, text string) {
	if text == "" {
		f.out.WriteByte('\n')
		return
	}
	f.out.WriteString(strings.Repeat(" ", max(indent+f.shift, 0)) + text + "\n")
}

// outside writes a line that is in no brackets, quotes or block.
func (f *formatter) outside(column int, text string) {
	switch {
	case text == "" && len(f.pending) > 0:
		f.pending = append(f.pending, "")
	case text == "":
		f.blank = f.out.Len() > 0
	case text[0] == '#':
		f.comments = append(f.comments, text)
		f.pending = append(f.pending, text)
	default:
		f.item(column, text)
	}
}

// item writes a line that begins a value: a key, or elements of lists with what is in them.
func (f *formatter) item(column int, text string) {
	indent := indentStep * f.level(column)
	f.flush(indent)
	f.shift, f.block = indent-column, column
	dashes := ""
	for text == "-" || strings.HasPrefix(text, "- ") {
		rest := strings.TrimLeft(text[1:], " ")
		dashes += "- "
		f.block = column
		if column += len(text) - len(rest); rest != "" && rest[0] != '#' {
			f.level(column)
		}
		text = rest
	}
	formatted := f.scan(text)
	if f.keyed {
		f.block = column
	}
	f.inBlock = f.opened
	f.write(indent, strings.TrimRight(dashes+formatted, " "))
}

// level is the level of a column, which is the deepest one from then on.
func (f *formatter) level(column int) int {
	for len(f.columns) > 0 && f.columns[len(f.columns)-1] > column {
		f.columns = f.columns[:len(f.columns)-1]
	}
	if len(f.columns) == 0 || f.columns[len(f.columns)-1] < column {
		f.columns = append(f.columns, column)
	}
	return len(f.columns) - 1
}

// flush writes the comments that were held back.
func (f *formatter) flush(indent int) {
	for i, text := range f.pending {
		if text == "" {
			f.blank = f.blank || i > 0
			continue
		}
		f.write(indent, text)
	}
	f.pending = nil
}

func (f *formatter) write(indent int, text string) {
	if f.blank {
		f.out.WriteByte('\n')
		f.blank = false
	}
	f.out.WriteString(strings.Repeat(" ", indent) + text + "\n")
}
