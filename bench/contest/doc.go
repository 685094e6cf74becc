// Package contest measures proxies against each other on one machine: weir, haproxy, nginx and the
// bare relay of bench/floor, doing the same work in turns.
//
// It owns one entry point, Compare, and its nouns: a contestant (a proxy that can take part), a
// scenario (the work: exchanges of one kind), a round (every contestant once), a turn (one contestant
// in one round), the origin (the server behind all of them), the report, and a target (a ratio that
// weir has promised).
//
// What is compared is CPU time per unit, a request or a MiB: user and system time of every process of
// the contestant by the kernel's own accounting, divided by what was done meanwhile. On a shared
// machine that holds still where times do not. Even so it drifts, so contestants run in turns
// A B C A B C …, ratios are taken within a round, and a ratio is reported with its range: one that
// straddles 1 means "no difference".
//
// The path through it: Compare finds the contestants, pins its own threads (the load generator) and
// the origin to the load cores and has weir judge its configuration (judgeFiles). In each turn it
// starts one contestant afresh on the proxy core (prepare, start), checks that it does the whole job
// (verify), loads it with bench.Load, reads the counters when the window opens and closes (sample)
// and stops it. newReport makes the report, WriteText, WriteMarkdown and WriteSummary print it.
//
// Processes are started in process groups of their own, ended by their process IDs and waited for,
// also when the context ends; should this process be killed, the kernel ends them. The origin and
// the relay are this same program, started again with a verb that Child recognises: a main function
// that calls Compare calls Child first.
//
// Compare changes the CPU affinity and GOMAXPROCS of the process while it runs, so only one may run
// at a time. Configurations are made from the scenario and shown in testdata; bench/README.md has
// the method in full.
package contest
