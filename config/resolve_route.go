package config

import (
	"net/netip"
	"strconv"
)

func resolveRoute(v *value) Route {
	r := Route{
		Origin:          v.at.origin(),
		Host:            get[string](v, "host"),
		Path:            get[string](v, "path"),
		PathPrefix:      get[string](v, "path_prefix"),
		PathRegex:       get[string](v, "path_regex"),
		Methods:         list[string](v, "method"),
		Headers:         resolveHeaders(v.child("headers")),
		Source:          list[netip.Prefix](v, "source"),
		SNI:             list[string](v, "sni"),
		ALPN:            list[string](v, "alpn"),
		Pool:            get[string](v, "pool"),
		Redirect:        resolveRedirect(v.child("redirect")),
		Respond:         resolveRespond(v.child("respond")),
		StripPrefix:     get[string](v, "strip_prefix"),
		Rewrite:         get[string](v, "rewrite"),
		RequestHeaders:  resolveHeaderChange(v.child("request_headers")),
		ResponseHeaders: resolveHeaderChange(v.child("response_headers")),
	}
	for _, q := range v.child("query").items {
		text, _ := q.raw.(string) // kindText
		r.Query = append(r.Query, Parameter{Name: q.name, Value: text})
	}
	for _, arm := range v.child("split").items {
		r.Split = append(r.Split, Arm{Pool: get[string](arm, "pool"), Weight: arm.integer("weight")})
	}
	return r
}

// resolveHeaders returns the fields of a map, in the order of the file.
func resolveHeaders(v *value) []Header {
	var headers []Header
	for _, h := range v.items {
		text, _ := h.raw.(string) // kindFieldValue
		headers = append(headers, Header{Name: h.name, Value: text})
	}
	return headers
}

func resolveRedirect(v *value) *Redirect {
	if !v.given {
		return nil
	}
	status, err := strconv.Atoi(get[string](v, "status"))
	if err != nil {
		panic("config: redirect.status: " + err.Error()) // its words are numbers
	}
	return &Redirect{To: get[string](v, "to"), Status: status}
}

func resolveRespond(v *value) *Respond {
	if !v.given {
		return nil
	}
	return &Respond{Status: v.integer("status"), Body: get[string](v, "body"), ContentType: get[string](v, "content_type")}
}

func resolveHeaderChange(v *value) HeaderChange {
	return HeaderChange{Remove: list[string](v, "remove"), Set: resolveHeaders(v.child("set")), Add: resolveHeaders(v.child("add"))}
}
