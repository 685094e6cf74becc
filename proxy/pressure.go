package proxy

import (
	"runtime/metrics"
	"time"

	"go.uber.org/zap"
)

// memoryRound is how often it is looked at how much memory is in use, if there is a budget.
const memoryRound = 250 * time.Millisecond

// SetMemoryBudget makes the budget of memory of the process so many bytes; 0: there is none. Close to it,
// new connections, sessions and requests are refused, and what runs goes on.
func (s *Server) SetMemoryBudget(bytes uint64) {
	s.engine.Memory.SetBudget(bytes)
	s.steward.wake()
}

// MemoryUsage is the memory in use when last looked at, and the budget, 0 for none; in bytes.
func (s *Server) MemoryUsage() (used, budget uint64) { return s.engine.Memory.Usage() }

// observeMemory compares what is in use with the budget.
func (s *Server) observeMemory() {
	sample := [...]metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample[:])
	m := s.engine.Memory
	if !m.Observe(sample[0].Value.Uint64() - sample[1].Value.Uint64()) {
		return
	}
	used, budget := m.Usage()
	fields := []zap.Field{zap.Uint64("used_bytes", used), zap.Uint64("budget_bytes", budget)}
	if m.Refusing() {
		s.log.Warn("memory is short: new connections and requests are refused; raise limits.memory, or lower limits.max_connections", fields...)
		return
	}
	s.log.Info("memory suffices again", fields...)
}
