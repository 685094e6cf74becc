package healthcheck

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// excerpt makes the first bytes of b, at most ExcerptSize, printable in one line: white space,
// control characters and line breaks become single blanks, bytes that are no UTF-8 become U+FFFD,
// and so do characters that change how the text around them is shown. Its result is valid UTF-8 of
// at most 3*ExcerptSize bytes.
func excerpt(b []byte) string {
	cut := len(b) > ExcerptSize
	if cut {
		b = b[:ExcerptSize]
	}
	var out strings.Builder
	blank := true // nothing but blanks so far, or the last character was one
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && cut && len(b) < utf8.UTFMax && !utf8.FullRune(b) {
			break // the cut went through a character
		}
		b = b[size:]
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			if !blank {
				out.WriteByte(' ')
			}
			blank = true
			continue
		case !unicode.IsGraphic(r):
			r = utf8.RuneError
		}
		out.WriteRune(r)
		blank = false
	}
	return strings.TrimSuffix(out.String(), " ")
}
