package stream

import persistence "weir/proxy/session"

// Table is where clients are remembered whose pool is persistent, for the process that takes the place of
// this one; nil: it is not.
func (p *Pool) Table() *persistence.Table {
	if a := p.settings.Load().sticky; a != nil {
		return a.Table()
	}
	return nil
}
