package resolve

// Remember begins with what another process knew of names, which is what its Status has told. It is called
// before anything is followed or expanded; what is not followed then is forgotten.
func (r *Resolver) Remember(list []Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range list {
		if len(s.Addresses) > 0 {
			s.Reason = ""
			r.names[s.Key] = &name{status: s, answered: true}
		}
	}
}
