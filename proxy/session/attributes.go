package session

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Secure says when a cookie of ours has the attribute Secure.
type Secure uint8

// The ways to decide it.
const (
	SecureAuto  Secure = iota // if the client came over TLS
	SecureOn                  // always
	SecureNever               // never
)

// SameSite is the attribute of that name.
type SameSite uint8

// The values of SameSite.
const (
	SameSiteLax SameSite = iota
	SameSiteStrict
	SameSiteNone
	SameSiteUnset // no attribute: the browser decides
)

// Attributes are the settings of the cookie that is inserted.
type Attributes struct {
	Name     string        // a token (RFC 9110)
	Domain   string        // empty: only the host that set it
	Path     string        // empty: the folder of the request
	MaxAge   time.Duration // rounded up to seconds; 0: until the browser is closed
	Secure   Secure
	HTTPOnly bool
	SameSite SameSite
}

// Setter writes Set-Cookie fields. It is immutable, so any number of goroutines may use it.
type Setter struct {
	prefix, suffix string
	secure         Secure
}

// NewSetter checks the attributes; the error joins all that is wrong with them.
func NewSetter(a Attributes) (*Setter, error) {
	if err := a.validate(); err != nil {
		return nil, err
	}
	var b strings.Builder
	if a.Path != "" {
		b.WriteString("; Path=" + a.Path)
	}
	if a.Domain != "" {
		b.WriteString("; Domain=" + a.Domain)
	}
	if a.MaxAge > 0 {
		seconds := (a.MaxAge-1)/time.Second + 1
		b.WriteString("; Max-Age=" + strconv.FormatInt(int64(seconds), 10))
	}
	if a.HTTPOnly {
		b.WriteString("; HttpOnly")
	}
	switch a.SameSite {
	case SameSiteLax:
		b.WriteString("; SameSite=Lax")
	case SameSiteStrict:
		b.WriteString("; SameSite=Strict")
	case SameSiteNone:
		b.WriteString("; SameSite=None")
	}
	return &Setter{prefix: a.Name + "=", suffix: b.String(), secure: a.Secure}, nil
}

// Append appends the value of a Set-Cookie field that sets the cookie to value, which Codec.Encode
// made. tls says whether the client came over TLS. It allocates only to grow dst.
func (s *Setter) Append(dst, value []byte, tls bool) []byte {
	dst = append(dst, s.prefix...)
	dst = append(dst, value...)
	dst = append(dst, s.suffix...)
	if s.secure == SecureOn || (s.secure == SecureAuto && tls) {
		dst = append(dst, "; Secure"...)
	}
	return dst
}

// validate joins everything that would make browsers ignore the cookie, or split the field.
func (a *Attributes) validate() error {
	var errs []error
	if !token(a.Name) {
		errs = append(errs, fmt.Errorf("cookie name %q is not a token", a.Name))
	}
	if !printable(a.Domain) || strings.ContainsAny(a.Domain, " ;,=/") {
		errs = append(errs, fmt.Errorf("cookie domain %q is not a host name", a.Domain))
	}
	if a.Path != "" && (a.Path[0] != '/' || !printable(a.Path) || strings.Contains(a.Path, ";")) {
		errs = append(errs, fmt.Errorf("cookie path %q does not start with a slash or has a byte that a path cannot have", a.Path))
	}
	if a.MaxAge < 0 {
		errs = append(errs, fmt.Errorf("cookie max_age %v is negative", a.MaxAge))
	}
	if a.SameSite == SameSiteNone && a.Secure == SecureNever {
		errs = append(errs, errors.New("cookie with same_site none must be secure"))
	}
	return errors.Join(append(errs, a.validatePrefix())...)
}

// validatePrefix checks what browsers ask of names that start with __Secure- or __Host- (RFC 6265bis,
// section 4.1.3), which they compare in any letter case.
func (a *Attributes) validatePrefix() error {
	name := strings.ToLower(a.Name)
	host := strings.HasPrefix(name, "__host-")
	switch {
	case !host && !strings.HasPrefix(name, "__secure-"):
		return nil
	case a.Secure == SecureNever:
		return fmt.Errorf("cookie %q must be secure because of its name", a.Name)
	case host && (a.Domain != "" || a.Path != "/"):
		return fmt.Errorf("cookie %q must have path / and no domain because of its name", a.Name)
	}
	return nil
}

// token reports whether s is a token of RFC 9110, section 5.6.2.
func token(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// printable reports whether s has only printable ASCII.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}
