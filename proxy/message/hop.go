package message

// StripHopByHop marks the fields that end at this proxy: those of RFC 9110, section 7.6.1, and the
// ones that Connection names. Codecs write the framing fields afresh, so they are marked too, but
// for Content-Length, which says what the body is as well.
//
// A Connection field cannot take away what routing or framing rest on: Host, Content-Length and
// Transfer-Encoding are not removed by being named (Content-Length stays, for instance). TE is kept
// only as "trailers", written by the codec.
func (h *Head) StripHopByHop() {
	named := false
	for i := range h.Fields {
		f := &h.Fields[i]
		switch f.Name {
		case Connection:
			f.Drop = true
			named = true
		case KeepAlive, ProxyConnection, ProxyAuthenticate, ProxyAuthorization, TE, TransferEncoding, Upgrade:
			f.Drop = true
		}
	}
	if named {
		h.dropNamed()
	}
}

// dropNamed marks the fields that the Connection lines name.
func (h *Head) dropNamed() {
	for i := range h.Fields {
		c := &h.Fields[i]
		if c.Name != Connection {
			continue
		}
		for token := range tokens(h.Value(c)) {
			if Equal(token, "close") || Equal(token, "keep-alive") {
				continue
			}
			for j := range h.Fields {
				f := &h.Fields[j]
				if f.Name != Host && f.Name != ContentLength && EqualFold(h.NameBytes(f), token) {
					f.Drop = true
				}
			}
		}
	}
}

// forwardedNames are the forwarding fields and their look-alikes.
const forwardedNames nameSet = 1<<XForwardedFor | 1<<XForwardedOther | 1<<Forwarded | 1<<XRealIP | 1<<ForwardedAlias

// DropForwarded marks every forwarding field, and what a backend could take for one: X-Forwarded-*,
// Forwarded, X-Real-IP.
func (h *Head) DropForwarded() {
	if h.has&forwardedNames == 0 {
		return
	}
	for i := range h.Fields {
		if f := &h.Fields[i]; 1<<f.Name&forwardedNames != 0 {
			f.Drop = true
		}
	}
}

// DropNamed marks every field of a name that is given in lower case.
func (h *Head) DropNamed(lower string) {
	for i := range h.Fields {
		if f := &h.Fields[i]; int(f.NameLen) == len(lower) && Equal(h.NameBytes(f), lower) {
			f.Drop = true
		}
	}
}

// DropFolded marks every field of a name that is given in lower case, and its look-alikes: see
// FoldsTo.
func (h *Head) DropFolded(lower string) {
	for i := range h.Fields {
		if f := &h.Fields[i]; FoldsTo(h.NameBytes(f), lower) {
			f.Drop = true
		}
	}
}

// DropResembling marks every field of a name that is given in lower case, and its look-alikes: see
// Resembles.
func (h *Head) DropResembling(lower string) {
	for i := range h.Fields {
		if f := &h.Fields[i]; Resembles(h.NameBytes(f), lower) {
			f.Drop = true
		}
	}
}

// DropAll marks every field of a recognised name.
func (h *Head) DropAll(n Name) {
	if !h.Has(n) {
		return
	}
	for i := range h.Fields {
		if h.Fields[i].Name == n {
			h.Fields[i].Drop = true
		}
	}
}
