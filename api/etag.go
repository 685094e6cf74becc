package api

import (
	"net/http"
	"strings"
)

// quoted is a tag as it stands in ETag, If-Match and If-None-Match.
func quoted(tag string) string { return `"` + tag + `"` }

// listed reports whether one of tags is in a field If-Match or If-None-Match (RFC 9110, section 13.1), which
// * always is, alone. Weak tags match nothing if strong is set, as for If-Match.
func listed(field string, strong bool, tags ...string) bool {
	if strings.TrimSpace(field) == "*" {
		return true
	}
	for item := range strings.SplitSeq(field, ",") {
		item = strings.TrimSpace(item)
		if rest, weak := strings.CutPrefix(item, "W/"); weak {
			if strong {
				continue
			}
			item = rest
		}
		for _, tag := range tags {
			if item == tag {
				return true
			}
		}
	}
	return false
}

// unchanged answers 304 if the client has what it asks for already. The ETag is set in any case.
func unchanged(w http.ResponseWriter, r *http.Request, tag string) bool {
	w.Header().Set("ETag", tag)
	if field, _ := joined(r.Header, "If-None-Match"); !listed(field, false, tag) {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}

// precondition holds a write against what there is: tags of the object and of the whole; none: the
// object is not there.
func precondition(h http.Header, name string, tags ...string) error {
	// A field without a tag, as of a script whose variable is empty, is a condition that does not hold.
	if field, given := joined(h, "If-Match"); given && (len(tags) == 0 || !listed(field, true, tags...)) {
		p := problem(http.StatusPreconditionFailed, name+" is not as If-Match says", "read it again, and decide anew")
		p.Type = ProblemStale
		if len(tags) == 0 {
			p.Detail = name + " does not exist, so nothing matches If-Match"
			p.Hint = "leave If-Match out to make it"
		}
		return p
	}
	if field, _ := joined(h, "If-None-Match"); len(tags) > 0 && listed(field, false, tags...) {
		p := problem(http.StatusPreconditionFailed, name+" exists already", "leave If-None-Match out to replace it")
		p.Type = ProblemStale
		return p
	}
	return nil
}

// joined is a field that may stand in several lines.
func joined(h http.Header, name string) (field string, given bool) {
	values := h.Values(name)
	return strings.Join(values, ","), len(values) > 0
}
