package api

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"weir/config"
)

// explainParameters are those of GET /v1/explain. Those that may be repeated are marked.
var explainParameters = map[string]bool{
	"listener": false, "protocol": false, "client": false, "dst": false, "method": false, "host": false, "path": false,
	"sni": false, "cid": false, "header": true, "alpn": true, "down": true, "drain": true, "maintenance": true,
}

// Values is the query of GET /v1/explain that says q.
func (q ExplainQuery) Values() url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Add(name, value)
		}
	}
	set("listener", q.Listener)
	set("protocol", q.Protocol)
	if q.Client.IsValid() {
		set("client", q.Client.String())
	}
	if q.Destination.IsValid() {
		set("dst", q.Destination.String())
	}
	set("method", q.Method)
	set("host", q.Host)
	set("path", q.Path)
	set("sni", q.SNI)
	set("cid", hex.EncodeToString(q.CID))
	for _, h := range q.Headers {
		set("header", h.Name+": "+h.Value)
	}
	for _, name := range q.ALPN {
		set("alpn", name)
	}
	for _, s := range q.If {
		set(s.State, s.Pool+"/"+s.Backend)
	}
	return v
}

// ParseExplainQuery is the reverse of Values. The error names the parameter.
func ParseExplainQuery(v url.Values) (q ExplainQuery, err error) {
	for name, values := range v {
		repeated, known := explainParameters[name]
		if !known {
			return q, fmt.Errorf("there is no parameter %q", name)
		}
		if len(values) > 1 && !repeated {
			return q, fmt.Errorf("the parameter %s is there more than once", name)
		}
	}
	q = ExplainQuery{
		Listener: v.Get("listener"), Protocol: v.Get("protocol"), Method: v.Get("method"), Host: v.Get("host"),
		Path: v.Get("path"), SNI: v.Get("sni"), ALPN: v["alpn"],
	}
	if q.Client, err = ParseEndpoint(v.Get("client")); err != nil {
		return q, fmt.Errorf("client: %w", err)
	}
	if q.Destination, err = ParseEndpoint(v.Get("dst")); err != nil {
		return q, fmt.Errorf("dst: %w", err)
	}
	if q.CID, err = hex.DecodeString(v.Get("cid")); err != nil {
		return q, fmt.Errorf("cid: %q is not hex", v.Get("cid"))
	}
	for _, text := range v["header"] {
		name, value, ok := strings.Cut(text, ":")
		if !ok || name == "" {
			return q, fmt.Errorf("header: %q is not NAME: VALUE", text)
		}
		q.Headers = append(q.Headers, config.Header{Name: name, Value: strings.TrimSpace(value)})
	}
	for _, state := range []string{"down", "drain", "maintenance"} {
		for _, text := range v[state] {
			pool, backend, ok := strings.Cut(text, "/")
			if !ok || pool == "" || backend == "" {
				return q, fmt.Errorf("%s: %q is not POOL/BACKEND", state, text)
			}
			q.If = append(q.If, Supposition{Pool: pool, Backend: backend, State: state})
		}
	}
	return q, nil
}

// ParseEndpoint reads an address with or without a port, 0 without; IPv6 with one in brackets. Nothing
// is the zero value.
func ParseEndpoint(text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a, nil
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is neither IP nor IP:PORT", text)
	}
	return netip.AddrPortFrom(a, 0), nil
}

// serveExplain answers GET /v1/explain.
func (s *Server) serveExplain(w http.ResponseWriter, r *http.Request) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return problem(http.StatusBadRequest, "the query cannot be read: "+err.Error(), "")
	}
	q, err := ParseExplainQuery(values)
	if err != nil {
		names := slices.Sorted(maps.Keys(explainParameters))
		return problem(http.StatusBadRequest, err.Error(), "the parameters are "+strings.Join(names, ", "))
	}
	e, err := s.options.Explain(q)
	if err != nil {
		return problem(http.StatusUnprocessableEntity, err.Error(), "GET /v1/status lists listeners, pools and backends")
	}
	writeJSON(w, http.StatusOK, e)
	return nil
}
