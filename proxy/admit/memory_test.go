package admit

import "testing"

func TestMemory(t *testing.T) {
	var m Memory
	if m.Limited() || m.Observe(1<<60) || m.Refusing() {
		t.Error("it refuses without a budget")
	}
	m.SetBudget(1000)
	for _, step := range []struct {
		used    uint64
		changed bool
		refuses bool
	}{
		{0, false, false}, {949, false, false}, {950, true, true}, {951, false, true}, {920, false, true},
		{919, true, false}, {949, false, false}, {2000, true, true}, {0, true, false},
	} {
		if changed := m.Observe(step.used); changed != step.changed || m.Refusing() != step.refuses {
			t.Errorf("%d of 1000: changed %v, refuses %v, want %v and %v", step.used, changed, m.Refusing(), step.changed, step.refuses)
		}
	}
	m.Observe(2000)
	m.SetBudget(0)
	if !m.Observe(2000) || m.Refusing() {
		t.Error("it goes on refusing after the budget was lifted")
	}
	if used, budget := m.Usage(); used != 2000 || budget != 0 || m.Limited() {
		t.Errorf("usage: %d of %d", used, budget)
	}
	var none *Memory
	if used, budget := none.Usage(); none.Limited() || none.Refusing() || used != 0 || budget != 0 {
		t.Error("nil is no limit")
	}
}
