package config

// routeRows are the keys of a listener's routes.
func routeRows(f features) []key {
	const p = "listeners.*.routes[]"
	later := !f.routesFull
	layer7, noHTTP := httpWords(), []string{"tcp", "tls"}
	rows := []key{
		{path: p, kind: kindObject, doc: routeDoc(f)},
		{path: p + ".host", kind: kindHostPattern, only: layer7, doc: "Host name without port, exact or `*.suffix`, in any letter case."},
		{path: p + ".path", kind: kindURLPath, only: layer7, doc: "Whole path, exact."},
		{path: p + ".path_prefix", kind: kindURLPath, only: layer7, doc: "Beginning of the path, in whole segments: `/api` matches `/api` and `/api/x`, not `/apix`."},
		{path: p + ".path_regex", kind: kindPattern, only: layer7, planned: later, doc: "Expression that the path matches, in Go syntax; `^` and `$` anchor it. It gets the plain form: of an encoded slash `%2F`, and the folded one where that differs: `(/|%2F)` takes both."},
		{path: p + ".method", kind: kindList, only: layer7, single: true, doc: "Any of these methods."},
		{path: p + ".method[]", kind: kindMethod, doc: "A method."},
		{path: p + ".headers", kind: kindMap, only: layer7, naming: namesFields, planned: later, doc: "Fields that the request has, all of them, by name."},
		{path: p + ".headers.*", kind: kindFieldValue, doc: "Value of the field, the whole of it."},
		{path: p + ".query", kind: kindMap, only: layer7, naming: namesParameters, planned: later, doc: "Parameters that the request has, all of them, by name."},
		{path: p + ".query.*", kind: kindText, doc: "Value of the parameter, decoded."},
		{path: p + ".source", kind: kindList, single: true, planned: later, doc: "Networks of clients, any of them."},
		{path: p + ".source[]", kind: kindPrefix, doc: "Network (`10.0.0.0/8`) or address."},
		{path: p + ".sni", kind: kindList, single: true, planned: !f.layer4, only: noHTTP,
			doc: "Names that a TLS client asks for, any of them. On a tcp listener the handshake is only looked at."},
		{path: p + ".sni[]", kind: kindHostPattern, doc: "Host name, exact or `*.suffix`, in any letter case."},
		{path: p + ".alpn", kind: kindList, single: true, planned: !f.layer4, only: noHTTP, doc: "Application protocols that a TLS client offers, any of them."},
		{path: p + ".alpn[]", kind: kindALPN, doc: "A protocol."},
		{path: p + ".pool", kind: kindReference, required: later, doc: "Pool that gets the request."},
		{path: p + ".split", kind: kindList, planned: later, doc: "Several pools by weight."},
		{path: p + ".split[]", kind: kindObject, doc: "One arm. A client stays in its arm."},
		{path: p + ".split[].pool", kind: kindReference, required: true, doc: "Pool of the arm."},
		{path: p + ".split[].weight", kind: kindInt, def: "1", min: "0", max: "1000", doc: "Share of the clients. 0: none."},
	}
	return append(rows, actionRows(later, layer7)...)
}

// routeDoc is about the actions that there are.
func routeDoc(f features) string {
	doc := "One route. What is not given matches everything."
	if f.routesFull {
		doc += " It does exactly one thing: `pool`, `split`, `redirect` or `respond`."
	}
	return doc
}

// actionRows are the keys of a route that answer a request or change it.
func actionRows(later bool, layer7 []string) []key {
	const p = "listeners.*.routes[]"
	rows := []key{
		{path: p + ".redirect", kind: kindObject, only: layer7, planned: later, doc: "Answer with a redirection."},
		{path: p + ".redirect.to", kind: kindRedirect, required: true,
			doc: "URL, or a path of the same host. `{host}` is the host that the client named, without port; `{path}` its path, which begins with `/`; `{query}` its query with the `?` before it, or nothing."},
		{path: p + ".redirect.status", kind: kindEnum, def: "302", enum: []string{"301", "302", "303", "307", "308"},
			doc: "Status. 307 and 308 keep the method; 301 and 308 are permanent."},
		{path: p + ".respond", kind: kindObject, only: layer7, planned: later, doc: "Answer with a fixed response."},
		{path: p + ".respond.status", kind: kindInt, required: true, min: "200", max: "599", doc: "Status."},
		{path: p + ".respond.body", kind: kindBody, doc: "Body, at most 64 KiB."},
		{path: p + ".respond.content_type", kind: kindFieldValue, def: "text/plain; charset=utf-8", doc: "Content-Type of a body that is not empty."},
		{path: p + ".strip_prefix", kind: kindURLPath, only: layer7, planned: later, doc: "Take this off the path that the backend sees, in whole segments."},
		{path: p + ".rewrite", kind: kindRewrite, only: layer7, planned: later, doc: "Replace the path that the backend sees; `{path}` is what `strip_prefix` left of it, the query stays."},
	}
	for _, side := range []string{"request", "response"} {
		fields := p + "." + side + "_headers"
		rows = append(rows,
			key{path: fields, kind: kindObject, only: layer7, planned: later, doc: "Change fields of " + side + "s, but for those of the connection and its framing."},
			key{path: fields + ".remove", kind: kindList, single: true, doc: "Fields that are taken out, before anything else, and out of trailers. What weir adds of that name is not added, but for its session cookie. In requests their look-alikes go too (X_User with X-User), also for `set`."},
			key{path: fields + ".remove[]", kind: kindFieldName, doc: "Name of a field, in any letter case."},
			key{path: fields + ".set", kind: kindMap, naming: namesFields, doc: "Fields that get this one value, whether they are there or not."},
			key{path: fields + ".set.*", kind: kindFieldValue, doc: "Value of the field."},
			key{path: fields + ".add", kind: kindMap, naming: namesFields, doc: "Fields that are added behind those of the same name."},
			key{path: fields + ".add.*", kind: kindFieldValue, doc: "Value of the field."})
	}
	return append(rows,
		key{path: p + ".limits", kind: kindObject, planned: true, doc: "Limits of this route."},
		key{path: p + ".timeouts", kind: kindObject, planned: true, doc: "Time-outs of this route."})
}
