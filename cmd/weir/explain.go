package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"weir/api"
	"weir/config"
	"weir/proxy"
)

// Explain answers the admin server.
func (p *serverPlane) Explain(q api.ExplainQuery) (api.Explanation, error) {
	e, err := p.server.Explain(explainQuery(q))
	if err != nil {
		return api.Explanation{}, explainError(err)
	}
	return explainDocument(e, q), nil
}

// explainFlags is a question as it is typed.
type explainFlags struct {
	listener, client, dst, method, host, path, sni, cid string
	headers, alpn                                       []string
	down, drain, maintenance                            []string
}

func newExplain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [URL]",
		Short: "Say where a request or a connection would go, and why",
		Long: `Say where a request or a connection would go, and why: listener, client, admission, the verdict on every route,
session, key, turn or load, each backend with the reason why it can be picked or not, and the pick. Nothing is
sent, and no turn of a rotation is taken. --down, --drain and --maintenance say what would be if. It is about what is
new: a connection or a UDP session that is there already stays where it is. /v1/explain is the same for programs.

URL stands for --host, --path and the port of --dst; its scheme, one of http, https, tcp, tls and udp, is the protocol
of the listener. With --offline the configuration of -c is asked instead of a daemon: every backend counts as up.`,
		Example: "weir explain --client 203.0.113.9 http://shop.example/api/cart\nweir explain --listener web --down web/b2\nweir explain -c weir.yaml --offline --client 203.0.113.9:5000 --dst 10.0.0.1:5432",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("ask about one URL (found %d)", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	where, form := addLocator(cmd, adminTimeout), addOutput(cmd)
	offline := cmd.Flags().Bool("offline", false, "ask the configuration of -c, not a daemon")
	f := addExplainFlags(cmd, where)
	cmd.RunE = verb(func(cmd *cobra.Command, args []string) error {
		q, err := f.query(args)
		if err != nil {
			return err
		}
		e, document, err := ask(cmd, where, q, *offline)
		if err != nil {
			return err
		}
		if form.value != formTable {
			return writeDocument(cmd.OutOrStdout(), document, form.value)
		}
		return writeExplanation(cmd.OutOrStdout(), e)
	})
	return cmd
}

func addExplainFlags(cmd *cobra.Command, where *locator) *explainFlags {
	f, flags := &explainFlags{}, cmd.Flags()
	flags.StringVar(&f.listener, "listener", "", "listener that the flow comes to (default: the one that has --dst, or the only one)")
	flags.StringVar(&f.client, "client", "", "who connects: IP or IP:PORT (default 127.0.0.1)")
	flags.StringVar(&f.dst, "dst", "", "what the client connects to: IP:PORT (default: the address of the listener)")
	flags.StringVar(&f.method, "method", "", "method of the request (default GET)")
	flags.StringVar(&f.host, "host", "", "host of the request")
	flags.StringVar(&f.path, "path", "", "path of the request, with its query (default /)")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "field of the request, NAME: VALUE; may be repeated")
	flags.StringVar(&f.sni, "sni", "", "name that a TLS client asks for")
	flags.StringSliceVar(&f.alpn, "alpn", nil, "protocols that it offers")
	flags.StringVar(&f.cid, "cid", "", "connection ID of a QUIC packet, in hex")
	flags.StringSliceVar(&f.down, "down", nil, "what if this backend, POOL/BACKEND, were down; may be repeated")
	flags.StringSliceVar(&f.drain, "drain", nil, "what if this backend drained; may be repeated")
	flags.StringSliceVar(&f.maintenance, "maintenance", nil, "what if this backend were in maintenance; may be repeated")
	for _, name := range []string{"down", "drain", "maintenance"} {
		completeFlag(cmd, name, where.backends)
	}
	completeFlag(cmd, "listener", where.listeners)
	return f
}

// query is the question, with what the URL adds to the flags.
func (f *explainFlags) query(args []string) (q api.ExplainQuery, err error) {
	q = api.ExplainQuery{Listener: f.listener, Method: f.method, Host: f.host, Path: f.path, SNI: f.sni, ALPN: f.alpn}
	if q.Client, err = endpoint(f.client); err != nil {
		return q, usage("--client %w", err)
	}
	if q.Destination, err = endpoint(f.dst); err != nil || f.dst != "" && q.Destination.Port() == 0 {
		return q, usage("--dst %q is not IP:PORT", f.dst)
	}
	if q.CID, err = hex.DecodeString(f.cid); err != nil {
		return q, usage("--cid %q is not hexadecimal", f.cid)
	}
	for _, text := range f.headers {
		name, value, ok := strings.Cut(text, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return q, usage("--header %q is not NAME: VALUE", text)
		}
		q.Headers = append(q.Headers, config.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	for state, list := range map[string][]string{"down": f.down, "drain": f.drain, "maintenance": f.maintenance} {
		for _, text := range list {
			n, err := parseBackend(text)
			if err != nil {
				return q, err
			}
			q.If = append(q.If, api.Supposition{Pool: n.pool, Backend: n.backend, State: state})
		}
	}
	slices.SortStableFunc(q.If, func(a, b api.Supposition) int { return strings.Compare(a.Pool+a.Backend, b.Pool+b.Backend) })
	if len(args) == 1 {
		return addURL(q, args[0])
	}
	return q, nil
}

// endpoint reads IP or IP:PORT; nothing is the zero value.
func endpoint(text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(a, 0), nil
	}
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return a, fmt.Errorf("%q is neither IP nor IP:PORT", text)
	}
	return a, nil
}

// addURL adds what a URL says and the flags do not.
func addURL(q api.ExplainQuery, text string) (api.ExplainQuery, error) {
	const form = "write it like http://shop.example/path or udp://10.0.0.1:53"
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return q, usage("%q is not a URL; %s", text, form)
	}
	switch p := config.Protocol(u.Scheme); p {
	case config.HTTP, config.HTTPS, config.TCP, config.TLS, config.UDP:
		q.Protocol = u.Scheme
		if p.HTTP() && q.Host == "" {
			q.Host = u.Host
		}
	default:
		return q, usage("%q: a listener of protocol %q cannot be asked about; %s", text, u.Scheme, form)
	}
	if q.Listener != "" {
		q.Protocol = ""
	}
	if q.Path == "" {
		q.Path = u.RequestURI()
	}
	if q.SNI == "" && (u.Scheme == "https" || u.Scheme == "tls") {
		q.SNI = u.Hostname()
	}
	if q.Destination.IsValid() || q.Listener != "" || u.Port() == "" {
		return q, nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return q, usage("%q: %q is no port", text, u.Port())
	}
	a, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		a = netip.IPv4Unspecified() // names are not resolved: the port says which listener it is
	}
	q.Destination = netip.AddrPortFrom(a, uint16(port))
	return q, nil
}

// ask asks a daemon, or a configuration.
func ask(cmd *cobra.Command, where *locator, q api.ExplainQuery, offline bool) (e api.Explanation, document []byte, err error) {
	if !offline {
		a, err := where.admin()
		if err != nil {
			return e, nil, err
		}
		document, err = a.get(cmd.Context(), "/v1/explain?"+q.Values().Encode(), &e)
		return e, document, err
	}
	if where.config == "" {
		return e, nil, usage("--offline needs the configuration: name it with -c")
	}
	c, _, err := load(cmd, where.config)
	if err != nil {
		return e, nil, err
	}
	found, err := proxy.ExplainConfig(c, explainQuery(q))
	if err != nil {
		return e, nil, &failure{exitUsage, explainError(err)}
	}
	e = explainDocument(found, q)
	document, err = json.MarshalIndent(e, "", "  ")
	return e, append(document, '\n'), err
}
