package config

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// The colours of a terminal.
const (
	red, yellow, cyan, bold, reset = "\x1b[31m", "\x1b[33m", "\x1b[36m", "\x1b[1m", "\x1b[0m"
)

// excerptWidth is the most characters of a source line that are shown.
const excerptWidth = 100

// Text writes the report for people: a block for each problem with its source line, the verdict
// last.
func (r Report) Text(w io.Writer, colour bool) error {
	p := painter{colour: colour}
	for i := range r.Diagnostics {
		p.diagnostic(&r.Diagnostics[i])
	}
	verdict := r.verdict()
	if r.Errors() > 0 {
		verdict = p.paint(bold, verdict)
	}
	p.b.WriteString(verdict + "\n")
	_, err := io.WriteString(w, p.b.String())
	return err
}

// painter builds the text of a report.
type painter struct {
	b      strings.Builder
	colour bool
}

func (p *painter) paint(code, s string) string {
	if !p.colour {
		return s
	}
	return code + s + reset
}

func (p *painter) diagnostic(d *Diagnostic) {
	colour := red
	if d.Severity == Warning {
		colour = yellow
	}
	fmt.Fprintf(&p.b, "%s: %s\n", p.paint(colour, string(d.Severity)), p.paint(bold, printable(d.Message)))
	p.place(d.Place, d.Hint, colour)
	for _, r := range d.Related {
		p.place(r, "", cyan)
	}
	p.b.WriteString("\n")
}

// place writes the frame around one line of a file.
func (p *painter) place(at Place, hint, colour string) {
	hint = printable(hint)
	gutter := fmt.Sprintf("%4d", at.Line)
	blank := strings.Repeat(" ", len(gutter))
	if at.Line == 0 {
		fmt.Fprintf(&p.b, "%s %s %s\n", blank, p.paint(cyan, "┌─"), at)
		if hint != "" {
			fmt.Fprintf(&p.b, "%s %s %s\n", blank, p.paint(cyan, "│"), p.paint(colour, hint))
		}
		return
	}
	line, column, width := window(at)
	fmt.Fprintf(&p.b, "%s %s %s\n", blank, p.paint(cyan, "┌─"), at)
	fmt.Fprintf(&p.b, "%s%s %s\n", gutter, p.paint(cyan, " │"), line)
	carets := strings.Repeat(" ", column-1) + p.paint(colour, strings.TrimRight(strings.Repeat("^", width)+" "+hint, " "))
	fmt.Fprintf(&p.b, "%s%s %s\n", blank, p.paint(cyan, " │"), carets)
}

// window cuts the excerpt to what fits, around the column, and returns where the column and the
// width are in it.
func window(at Place) (line string, column, width int) {
	runes := []rune(printable(at.Excerpt))
	column = min(max(at.Column, 1), len(runes)+1)
	first := 0
	if len(runes) > excerptWidth && column > excerptWidth*3/4 {
		first = min(column-1-excerptWidth/2, len(runes)-excerptWidth)
	}
	last := min(first+excerptWidth, len(runes))
	line = string(runes[first:last])
	column -= first
	if first > 0 {
		line, column = "…"+line, column+1
	}
	if last < len(runes) {
		line += "…"
	}
	width = max(min(at.Width, len([]rune(line))-column+1), 1)
	return strings.TrimRight(line, " "), column, width
}

// printable replaces what would disturb a terminal or the alignment by a space.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
}

// JSON writes the report as one object for programs.
func (r Report) JSON(w io.Writer) error {
	out := struct {
		File        string       `json:"file"`
		Valid       bool         `json:"valid"`
		Errors      int          `json:"errors"`
		Warnings    int          `json:"warnings"`
		Summary     Summary      `json:"summary"`
		Diagnostics []Diagnostic `json:"diagnostics"`
	}{r.Name, r.Errors() == 0, r.Errors(), r.Warnings(), r.Summary, r.Diagnostics}
	if out.Diagnostics == nil {
		out.Diagnostics = []Diagnostic{}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

// GitHub writes the report as workflow commands, which show up as annotations of the changed files.
func (r Report) GitHub(w io.Writer) error {
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	var b strings.Builder
	for _, d := range r.Diagnostics {
		fmt.Fprintf(&b, "::%s file=%s", d.Severity, property.Replace(d.File))
		if d.Line > 0 {
			fmt.Fprintf(&b, ",line=%d,col=%d,endColumn=%d", d.Line, d.Column, d.Column+d.Width)
		}
		fmt.Fprintf(&b, ",title=weir::%s\n", data.Replace(d.Message+"\n"+d.Hint))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
