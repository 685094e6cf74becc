// Package healthcheck finds out which backends are alive.
//
// It owns the probes and their verdicts. A Monitor holds one schedule per Target, that is per
// (pool, backend): two pools that share an address judge it apart. A schedule sends a probe, hands
// the outcome to a tracker (rise and fall), keeps it among the last HistorySize probes and reports
// a Result. What follows from a verdict is decided elsewhere: nothing here knows of pools, weights
// or traffic, and nothing here logs; Result.Message is the line for whoever does.
//
// The path of a probe: Monitor.Apply starts schedule.run, which sleeps until the probe is due,
// takes a slot (slots.enter), asks a prober (httpProber, tcpProber, tlsProber or udpProber, on a fresh connection made by
// opener.open; udpProber has no connection), files the outcome with record.observe and calls Options.Observe.
//
// Rules that hold throughout:
//
//   - The first probe of a target comes within min(interval, 500 ms), at a random moment; then one
//     each interval ± 10 %, from start to start. Probes of one target never overlap: one that lasts
//     longer than the interval is followed by the next at once, counted as overdue.
//   - The deadline of a probe is absolute: when it passes, reads and writes end, and nothing that
//     the peer sends moves it.
//   - A target that was never checked (initial: checking) takes the verdict of its first probe,
//     good or bad: a good one lets it serve, and a bad one keeps a pool whose backends all refuse
//     from looking undecided. All other changes need rise or fall results in a row.
//   - A probe that fails for want of something on this side (descriptors, memory, local ports), or
//     because it was cancelled, is kept with its reason (Probe.Local) and counts neither for nor
//     against the backend. The same holds for a connection attempt of live traffic.
//   - Result.Message leaves out what would repeat itself: of the failures of a backend that stays
//     down, all but those with a new reason, the 2nd, 4th, 8th … and one each 10 minutes; of the
//     probes that were not possible here, all but the first in a row, once a minute at most.
//   - At most Options.Concurrency probes run at a time, and those that ran into their deadline the
//     last time may hold at most half of these places, so backends that hang cannot starve the
//     probes of those that answer. A probe that had to wait is counted as overdue.
//   - What the backend sends is bounded: 64 KiB of head, HealthCheck.MaxBody of the rest.
//
// All methods of Monitor may be called concurrently. Options.Observe is called from the goroutine
// of the target's schedule, in order for each key, never for two probes of one key at a time; it
// must not call Monitor.Close. After Apply has replaced or removed a target a result of its last
// probe may still be on its way to Observe: Result.Backend tells it from one of a successor.
package healthcheck
