package healthcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"weir/config"
	"weir/internal/sniff"
)

// prober runs one probe on a fresh connection, within the deadline of ctx. It leaves At and
// Duration to its caller.
type prober interface {
	probe(ctx context.Context, o opener) Probe
}

var (
	_ prober = (*httpProber)(nil)
	_ prober = (*tcpProber)(nil)
	_ prober = (*brokenProber)(nil)
)

// brokenProber stands in for a check that cannot be run.
type brokenProber struct {
	check *config.HealthCheck
	addr  netip.AddrPort
	host  string
	err   error // why
}

// probe fails. If only a lack of something on this side kept the check from being compiled, it
// tries that again.
func (p *brokenProber) probe(ctx context.Context, o opener) Probe {
	err := p.err
	if localCause(err) != "" {
		r := compile(p.check)
		if r.err == nil {
			return r.prober(p.addr, p.host).probe(ctx, o)
		}
		err = r.err
	}
	reason := strings.ReplaceAll(err.Error(), "\n", "; ")
	return Probe{
		Phase:  PhaseConnect,
		Local:  localCause(err),
		Reason: "cannot probe " + p.addr.String() + ": " + reason,
	}
}

// recipe is a check compiled once for all its targets.
type recipe struct {
	check      *config.HealthCheck
	err        error // what makes it useless; nil: nothing
	readsFiles bool  // compiling it again may give something else
	body       *expression
	bodyNot    *expression
	expect     *expression // of a pattern
	tls        *tls.Config // nil: plain text
	header     []byte      // of the PROXY protocol, with which connections begin; empty: none
}

// recipeBook compiles each check once.
type recipeBook map[*config.HealthCheck]recipe

func (b recipeBook) of(c *config.HealthCheck) recipe {
	r, ok := b[c]
	if !ok {
		r = compile(c)
		b[c] = r
	}
	return r
}

// Validate reports everything that keeps c from being run: expressions that do not compile, TLS
// files that cannot be read, a protocol that has no probe. It reads files and nothing else.
func Validate(c *config.HealthCheck) error { return compile(c).err }

func compile(c *config.HealthCheck) recipe {
	r := recipe{check: c, header: proxyHeader(c.SendProxy)}
	var errs []error
	expression := func(name, text string) *expression {
		if text == "" {
			return nil
		}
		e, err := compileExpression(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s", name, r.hide(err.Error())))
			return nil
		}
		e.text = r.hide(e.text)
		return e
	}
	switch c.Protocol {
	case config.HTTP, config.HTTPS:
		r.body = expression("body", c.Body)
		r.bodyNot = expression("body_not", c.BodyNot)
	case config.TCP, config.UDP:
		r.expect = expression("expect", c.Expect.Pattern)
	case config.TLS:
	default:
		errs = append(errs, fmt.Errorf("protocol: there are no %s probes", c.Protocol))
	}
	if c.Protocol == config.TLS || c.Protocol == config.HTTPS && !c.Plaintext {
		r.readsFiles = c.TLS.CA != "" || c.TLS.ClientCert != ""
		var err error
		r.tls, err = tlsConfig(c.TLS)
		errs = append(errs, err)
	}
	r.err = errors.Join(errs...)
	return r
}

// hide puts config.Masked in the place of secrets.
func (r recipe) hide(text string) string {
	for _, secret := range r.check.Secrets {
		text = strings.ReplaceAll(text, secret, config.Masked)
	}
	return text
}

// excerpt is that of b without secrets.
func (r recipe) excerpt(b []byte) string {
	if len(r.check.Secrets) > 0 {
		b = []byte(r.hide(string(b)))
	}
	return excerpt(b)
}

// proxyHeader is a PROXY header that has no addresses: a probe speaks for itself.
func proxyHeader(v config.ProxyVersion) []byte {
	switch v {
	case config.ProxyV1:
		return sniff.AppendProxyV1(nil, netip.AddrPort{}, netip.AddrPort{})
	case config.ProxyV2:
		return sniff.AppendProxyV2(nil, netip.AddrPort{}, netip.AddrPort{}, sniff.ProxyOptions{Local: true})
	}
	return nil
}

// prober returns what probes addr by this recipe. host is the name that addr stands for; empty: none.
func (r recipe) prober(addr netip.AddrPort, host string) prober {
	addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	switch {
	case r.err != nil:
		return &brokenProber{r.check, addr, host, r.err}
	case r.check.Protocol == config.TCP:
		return newTCPProber(r, addr)
	case r.check.Protocol == config.TLS:
		return newTLSProber(r, addr, host)
	case r.check.Protocol == config.UDP:
		return newUDPProber(r, addr)
	}
	return newHTTPProber(r, addr, host)
}

// serverName is what the certificate of addr is verified for, if the check does not say.
func serverName(addr netip.AddrPort, host string) string {
	if host != "" {
		return host
	}
	return addr.Addr().WithZone("").String()
}

// tlsConfig builds the client side of TLS. ServerName is left to the target if t has none.
func tlsConfig(t config.BackendTLS) (*tls.Config, error) {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: !t.Verify,
		NextProtos:         []string{"http/1.1"},
	}
	var errs []error
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		c.RootCAs = x509.NewCertPool()
		if err == nil && !c.RootCAs.AppendCertsFromPEM(pem) {
			err = fmt.Errorf("%s: no certificate in it", t.CA)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("tls.ca: %w", err))
		}
	}
	if t.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(t.ClientCert, t.ClientKey)
		if err != nil {
			errs = append(errs, fmt.Errorf("tls.client_cert: %w", err))
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, errors.Join(errs...)
}
