package route

// fold appends to dst the folded form of path, in which servers read it that are generous: all
// percent-encoded bytes decoded, once, a slash and a percent sign too; a backslash is a slash; slashes
// that follow one another are one; the parameters of a segment, from ";" on, are no part of it; and
// dot segments are removed after that. The result is never longer than path.
//
// Most servers read a path somewhere between this and its plain form: nginx decodes slashes and merges
// them, Tomcat drops parameters. Whatever they do, without dot segments in it: a prefix or a whole path
// that matches what they read matches the folded form as well. The survey of a path is about those.
func fold(dst, path []byte) []byte {
	start, parameter := len(dst), false
	for len(path) > 0 {
		c, n := octet(path)
		path = path[n:]
		switch {
		case c == '/', c == '\\':
			parameter = false
			if len(dst) == start || dst[len(dst)-1] != '/' {
				dst = append(dst, '/')
			}
		case c == ';':
			parameter = true
		case !parameter:
			dst = append(dst, c)
		}
	}
	return dst[:start+removeDots(dst[start:])]
}

// folded is fold of the path of a route. The empty one, which matches everything, stays.
func folded(path string) string { return string(fold(nil, []byte(path))) }

// survey is what a path has about which its readers may differ.
type survey struct {
	nul    bool // an encoded NUL, which ends a path for some
	odd    bool // the folded form is not the plain one, or a percent sign in it could be an encoded one
	up     bool // a segment is ".."
	hidden bool // one is only for some, or parameters hide the end of a segment
	uneven bool // there are more segments for some than for others
}

// wild reports whether it cannot be told which segments are left of the path: one that is removed
// with ".." by one reader stays for another, or the ".." is none for it.
func (s survey) wild() bool { return s.hidden || s.up && s.uneven }

// look surveys a path.
func look(path []byte) (s survey) {
	if len(path) == 0 || path[0] != '/' {
		return s
	}
	plain := true // the separator before the segment
	for rest := path[1:]; ; {
		var g segment
		rest = g.read(rest)
		s.add(&g, plain)
		if g.end == endOfPath {
			return s
		}
		plain = g.end == endSlash
	}
}

func (s *survey) add(g *segment, plain bool) {
	plain = plain && g.end != endOther && !g.parameters
	s.nul = s.nul || g.nul
	s.odd = s.odd || g.percent || g.parameters || g.end == endOther || g.dots == 0 && !g.name && g.end != endOfPath
	s.hidden = s.hidden || g.parameters && g.end == endOther
	s.uneven = s.uneven || g.end == endOther
	switch {
	case g.name, g.dots > 2:
	case g.dots == 2:
		s.up, s.hidden = true, s.hidden || !plain
	case g.dots == 1:
		s.uneven = s.uneven || !plain
	default:
		s.uneven = s.uneven || g.end != endOfPath || !plain
	}
}

// How a segment ends: with the path, with a slash, or with what is a slash only for some.
const (
	endOfPath = iota
	endSlash
	endOther
)

// segment is what is between two separators, for those who take the most bytes for one.
type segment struct {
	dots       int  // before its parameters
	name       bool // it has other bytes there
	parameters bool
	percent    bool // one that encodes nothing, or is encoded
	nul        bool
	end        int
}

// read reads the segment at the start of path and returns what follows its separator.
func (g *segment) read(path []byte) []byte {
	for len(path) > 0 {
		c, n := octet(path)
		path = path[n:]
		switch {
		case c == '/' && n == 1:
			g.end = endSlash
			return path
		case c == '/', c == '\\':
			g.end = endOther
			return path
		case c == 0:
			g.name, g.nul = true, true
		case c == ';':
			g.parameters = true
		case g.parameters:
		case c == '.':
			g.dots++
		default:
			g.name, g.percent = true, g.percent || c == '%'
		}
	}
	g.end = endOfPath
	return path
}
