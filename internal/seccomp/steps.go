package seccomp

import (
	"math"
	"slices"

	"github.com/hull-pods/hull/internal/oci"
)

// A run of rules that each compare the same one argument by its order is a step function of that argument: it is found by
// a tree, as the syscall's number is, instead of rule by rule.

// step is the values from first on, up to the next step's first, and the rule that holds for them; -1 is none.
type step struct {
	first uint64
	rule  int
}

// sameArg is how many of the last rules make such a run.
func sameArg(rules []rule) int {
	n := 0
	for _, r := range slices.Backward(rules) {
		if len(r.conds) != 1 || r.conds[0].op == oci.OpMaskedEqual || n > 0 && r.conds[0].arg != rules[len(rules)-1].conds[0].arg {
			break
		}
		n++
	}
	return n
}

// steps writes a run of rules; where none of them holds, it goes to no.
func (a *assembler) steps(rules []rule, wide bool, no label) label {
	top := uint64(math.MaxUint32)
	if wide {
		top = math.MaxUint64
	}
	steps := stepsOf(rules, top)
	to := func(s step) label {
		if s.rule < 0 {
			return no
		}
		return a.returns(rules[s.rule].action)
	}
	arg := rules[0].conds[0].arg
	if !wide {
		return a.words(lowerWord(arg), steps, 0, to)
	}
	// The upper word decides, but where its value has several steps the lower word must.
	var starts []uint32
	var labels []label
	for i := 0; i < len(steps); {
		upper := uint32(steps[i].first >> 32)
		n := 1
		for i+n < len(steps) && uint32(steps[i+n].first>>32) == upper {
			n++
		}
		within := steps[i : i+n]
		if uint32(within[0].first) != 0 { // what comes before goes on into this upper word
			within = slices.Concat([]step{{uint64(upper) << 32, steps[i-1].rule}}, within)
		}
		starts, labels = append(starts, upper), append(labels, a.words(lowerWord(arg), within, upper, to))
		i += n
		if len(within) > 1 && upper < math.MaxUint32 && (i == len(steps) || uint32(steps[i].first>>32) != upper+1) {
			starts, labels = append(starts, upper+1), append(labels, to(within[len(within)-1]))
		}
	}
	at := a.tree(starts, labels)
	if len(starts) == 1 {
		return at
	}
	return a.then(opLoad, upperWord(arg), at)
}

// words writes the tree of one word over steps that have the same upper word.
func (a *assembler) words(offset uint32, steps []step, upper uint32, to func(step) label) label {
	var starts []uint32
	var labels []label
	for _, s := range steps {
		starts, labels = append(starts, uint32(s.first-uint64(upper)<<32)), append(labels, to(s))
	}
	at := a.tree(starts, labels)
	if len(starts) == 1 {
		return at
	}
	return a.then(opLoad, offset, at)
}

// stepsOf cuts the values up to top where the first rule that holds changes.
func stepsOf(rules []rule, top uint64) []step {
	starts := []uint64{0}
	for _, r := range rules {
		value := r.conds[0].a
		starts = append(starts, value)
		if value < top {
			starts = append(starts, value+1)
		}
	}
	slices.Sort(starts)
	var steps []step
	for _, first := range slices.Compact(starts) {
		holds := slices.IndexFunc(rules, func(r rule) bool { return r.conds[0].holds(first) })
		if n := len(steps); n > 0 && sameAction(rules, steps[n-1].rule, holds) {
			continue
		}
		steps = append(steps, step{first, holds})
	}
	return steps
}

func sameAction(rules []rule, i, j int) bool {
	if i < 0 || j < 0 {
		return i == j
	}
	return rules[i].action == rules[j].action
}

// holds is whether a value meets a condition that compares by order.
func (c cond) holds(value uint64) bool {
	switch c.op {
	case oci.OpEqualTo:
		return value == c.a
	case oci.OpNotEqual:
		return value != c.a
	case oci.OpLessThan:
		return value < c.a
	case oci.OpLessEqual:
		return value <= c.a
	case oci.OpGreaterEqual:
		return value >= c.a
	default:
		return value > c.a
	}
}
