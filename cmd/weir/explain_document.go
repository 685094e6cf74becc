package main

import (
	"errors"
	"fmt"
	"math"

	"weir/api"
	"weir/balancer"
	"weir/config"
	"weir/proxy"
	"weir/proxy/route"
)

// explainQuery is a question of the API in the words of package proxy.
func explainQuery(q api.ExplainQuery) proxy.Query {
	p := proxy.Query{
		Listener: q.Listener, Protocol: config.Protocol(q.Protocol), Client: q.Client, Destination: q.Destination,
		Method: q.Method, Host: q.Host, Path: q.Path, Headers: q.Headers, SNI: q.SNI, ALPN: q.ALPN, CID: q.CID,
	}
	for _, s := range q.If {
		suppose := balancer.Supposition{Backend: s.Backend, Down: s.State == "down"}
		if !suppose.Down {
			suppose.State = config.State(s.State)
		}
		p.If = append(p.If, proxy.Supposition{Pool: s.Pool, Supposition: suppose})
	}
	return p
}

// explainError is what is wrong with a question, with the name that was probably meant.
func explainError(err error) error {
	if u, ok := errors.AsType[*proxy.UnknownError](err); ok {
		return fmt.Errorf("%w%s", err, didYouMean(u.Name, u.Known))
	}
	return err
}

// explainDocument is an explanation as the API gives it.
func explainDocument(e proxy.Explanation, q api.ExplainQuery) api.Explanation {
	d := api.Explanation{
		Result: e.Result, Outcome: string(e.Outcome), Offline: e.Offline,
		Listener: api.ExplainedListener{Name: e.Listener.Name, Protocol: string(e.Listener.Protocol), Addresses: e.Addresses, Why: e.ListenerWhy},
		Flow: api.ExplainedFlow{
			Protocol: map[balancer.Proto]string{balancer.TCP: "tcp", balancer.UDP: "udp"}[e.Protocol],
			Peer:     e.Peer.String(), Client: e.Client.String(), ClientWhy: e.ClientWhy, Request: e.Request, SNI: q.SNI,
		},
		Admission: api.ExplainedAdmission{Allowed: e.Admitted, Why: e.Admission, Limits: append([]string{}, e.Limits...)},
		Routes:    explainedRoutes(e.Routes.Verdicts),
		Pick:      explainedPick(e.Pick),
	}
	if e.Destination.IsValid() {
		d.Flow.Destination = e.Destination.String()
	}
	if e.Pool != nil {
		d.Pool = e.Pool.Name
	}
	if s := e.Session; s != nil {
		d.Session = &api.ExplainedSession{Type: "quic", Used: s.Used, Why: s.Why}
		if p := e.Pool.Persistence; p != nil {
			d.Session.Type, d.Session.Fallback = string(p.Type), string(p.Fallback)
		}
		d.Session.Backend = nameOf(s.Backend)
	}
	if i := e.If; i != nil {
		d.If = &api.ExplainedIf{Suppositions: q.If, Result: i.Result, Changes: i.Changes, Pick: explainedPick(i.Pick), MovedShare: share(i.Moved)}
	}
	return d
}

func explainedRoutes(verdicts []route.Verdict) []api.ExplainedRoute {
	list := make([]api.ExplainedRoute, 0, len(verdicts))
	for _, v := range verdicts {
		r := api.ExplainedRoute{Route: v.Origin.String(), Does: v.Does, Taken: v.Taken, Why: v.Why}
		if v.Default {
			r.Route = "default"
		}
		list = append(list, r)
	}
	return list
}

// explainedPick is nil for nil.
func explainedPick(e *balancer.Explanation) *api.ExplainedPick {
	if e == nil {
		return nil
	}
	p := &api.ExplainedPick{
		Algorithm: string(e.Snapshot.Algorithm()), Tier: e.Snapshot.Tier().String(), Backend: nameOf(e.Pick), Why: e.Why,
		Candidates: make([]api.ExplainedCandidate, 0, len(e.Candidates)),
	}
	if e.Pick != nil {
		p.Address = addressOf(e.Pick)
	}
	if k := e.Key; k != nil {
		p.Key = &api.ExplainedKey{Covers: k.Covers, Seed: k.Seed, Hash: fmt.Sprintf("%016x", k.Hash)}
	}
	if t := e.Entry; t != nil {
		p.Table = &api.ExplainedTable{Size: t.Size, Entry: t.Number, Owner: t.Owner.Name()}
		if r := t.Ramp; r != nil {
			p.Table.Ramp = &api.ExplainedRamp{Draw: r.Draw, Accepted: r.Accepted, Taken: r.Taken, Entry: r.Number, Owner: r.Owner.Name()}
		}
	}
	if t := e.Turn; t != nil {
		p.Turn = &api.ExplainedTurn{Place: t.Place, Length: t.Length}
		for _, b := range t.Next {
			p.Turn.Next = append(p.Turn.Next, b.Name())
		}
	}
	for _, c := range e.Candidates {
		p.Candidates = append(p.Candidates, api.ExplainedCandidate{
			Name: c.Backend.Name(), Address: addressOf(c.Backend), Health: c.Health.String(), State: string(c.State),
			Overridden: c.Overridden, Backup: c.Backup, Weight: c.Weight, EffectiveWeight: c.Effective, SlowStartRatio: c.Ramp,
			Active: c.Active, MaxConnections: c.Limit, Share: share(c.Share), Eligible: c.Eligible, Why: c.Why,
		})
	}
	return p
}

// share is nil for one that is not known.
func share(part float64) *float64 {
	if math.IsNaN(part) {
		return nil
	}
	return &part
}

func nameOf(b *balancer.Backend) string {
	if b == nil {
		return ""
	}
	return b.Name()
}

// addressOf is empty for a name that is not resolved.
func addressOf(b *balancer.Backend) string {
	if !b.Address().IsValid() {
		return ""
	}
	return b.Address().String()
}
