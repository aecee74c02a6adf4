package seccomp

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/hull-pods/hull/internal/oci"
)

// outcome is what the filter does with one syscall: the first rule whose conditions all hold, else action.
type outcome struct {
	action uint32
	rules  []rule
	wide   bool // how the rules' arguments are compared
}

type rule struct {
	conds  []cond
	action uint32
}

// cond compares one argument. For a masked comparison, a is the mask and b the value.
type cond struct {
	arg  uint32
	op   oci.LinuxSeccompOperator
	a, b uint64
}

func (o outcome) equal(p outcome) bool {
	return o.action == p.action && (len(o.rules) == 0 || o.wide == p.wide) && slices.EqualFunc(o.rules, p.rules, rule.equal)
}

func (r rule) equal(s rule) bool { return r.action == s.action && slices.Equal(r.conds, s.conds) }

// numRange is the numbers from first on, up to the next range's first.
type numRange struct {
	first uint32
	outcome
}

// ranges are in the order of their numbers, the first from 0 on.
type ranges []numRange

// add says that from first on, which is not below what was added before, the outcome is o.
func (r *ranges) add(first uint32, o outcome) {
	if n := len(*r); n > 0 && (*r)[n-1].first == first {
		*r = (*r)[:n-1]
	}
	if n := len(*r); n == 0 || !(*r)[n-1].equal(o) {
		*r = append(*r, numRange{first, o})
	}
}

// cutter cuts an architecture's numbers into ranges by a profile.
type cutter struct {
	profile *oci.LinuxSeccomp
	def     outcome
	tooNew  *outcome // of numbers above an ABI's highest in the profile; nil is no matter of its own
}

func (c *cutter) rangesOf(m machineArch) (ranges, error) {
	var out ranges
	above, err := c.addABI(&out, m.abis[0], 0)
	if err != nil {
		return nil, err
	}
	if m.audit != auditX86_64 {
		return out, nil
	}
	// Above x86_64's own numbers are those with x32's bit, and the whole again with the uppermost bit, where there are none.
	if len(m.abis) > 1 {
		aboveX32, err := c.addABI(&out, m.abis[1], x32Bit)
		if err != nil {
			return nil, err
		}
		out.add(2*x32Bit, *cmp.Or(above, &c.def))
		out.add(3*x32Bit, *cmp.Or(aboveX32, &c.def))
		return out, nil
	}
	// Without x32 its numbers are another architecture's; not so -1, by which a tracer skips a syscall.
	kill := outcome{action: retKillThread}
	out.add(x32Bit, kill)
	if above != nil {
		out.add(2*x32Bit, *above)
		out.add(3*x32Bit, kill)
	}
	out.add(math.MaxUint32, c.def)
	return out, nil
}

// addABI adds an ABI's ranges from base on, and returns what is of numbers that are too new, if that is a matter.
func (c *cutter) addABI(out *ranges, a *abi, base uint32) (above *outcome, err error) {
	calls, highest, err := c.callsOf(a)
	if err != nil {
		return nil, err
	}
	out.add(base, c.def)
	for _, number := range slices.Sorted(maps.Keys(calls)) {
		out.add(number, calls[number])
		out.add(number+1, c.def)
	}
	if highest&^x32Bit == 0 || c.tooNew == nil {
		return nil, nil
	}
	out.add(highest+1, *c.tooNew)
	return c.tooNew, nil
}

// callsOf gathers what the profile says of each number of an ABI, and the highest number that it names.
func (c *cutter) callsOf(a *abi) (calls map[uint32]outcome, highest uint32, err error) {
	calls = map[uint32]outcome{}
	add := func(number uint32, r rule) {
		o, ok := calls[number]
		switch {
		case !ok:
			o = outcome{action: c.def.action, wide: a.wide}
		case len(o.rules) == 0:
			return // one without conditions is there
		}
		if len(r.conds) == 0 {
			o = outcome{action: r.action}
		} else {
			o.rules = append(o.rules, r)
		}
		calls[number] = o
	}
	for _, s := range c.profile.Syscalls {
		rules, err := rulesOf(a, s)
		if err != nil {
			return nil, 0, err
		}
		for _, name := range s.Names {
			number, ok := a.numbers[name]
			if ok {
				highest = max(highest, number)
			}
			for _, r := range rules {
				if r.action == c.def.action {
					continue
				}
				if m, ok := a.muxed[name]; ok {
					add(m.number, m.rule(r))
				}
				if ok {
					add(number, r)
				}
			}
		}
	}
	return calls, highest, nil
}

// rule is r for the syscall that stands for r's: its first argument is the call, and what r says of that is lost. So is it
// in libseccomp: a profile that allows a socket call by its first argument allows it altogether through socketcall.
func (m mux) rule(r rule) rule {
	conds := []cond{{arg: 0, op: oci.OpEqualTo, a: uint64(m.call)}}
	for _, c := range r.conds {
		if c.arg != 0 {
			conds = append(conds, c)
		}
	}
	return rule{conds, r.action}
}

// maxArg is the last argument of a syscall.
const maxArg = 5

// rulesOf turns an entry of the profile into rules: one, or one for each condition where two are on the same argument.
func rulesOf(a *abi, s oci.LinuxSyscall) ([]rule, error) {
	what := fmt.Sprintf("seccomp: rule for %q", s.Names)
	action, err := actionValue(s.Action, s.ErrnoRet)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if s.Action == oci.ActNotify {
		for _, name := range notTold {
			if slices.Contains(s.Names, name) {
				return nil, fmt.Errorf("%s: %s is not for %s, by which the listener is handed over", what, s.Action, name)
			}
		}
	}
	var all []cond
	seen := map[uint]bool{}
	either := false
	for _, arg := range s.Args {
		if arg.Index > maxArg {
			return nil, fmt.Errorf("%s: argument %d is above %d", what, arg.Index, maxArg)
		}
		if !slices.Contains(operators, arg.Op) {
			return nil, fmt.Errorf("%s: unknown operator %q", what, arg.Op)
		}
		either = either || seen[arg.Index]
		seen[arg.Index] = true
		all = append(all, a.cond(arg))
	}
	if !either {
		return []rule{{slices.DeleteFunc(all, cond.always), action}}, nil
	}
	var rules []rule
	for _, c := range all {
		rules = append(rules, rule{slices.DeleteFunc([]cond{c}, cond.always), action})
	}
	return rules, nil
}

// notTold are syscalls that a process makes between loading its filter and handing over the listener.
var notTold = []string{"write", "sendmsg"}

var operators = []oci.LinuxSeccompOperator{
	oci.OpNotEqual, oci.OpLessThan, oci.OpLessEqual, oci.OpEqualTo, oci.OpGreaterEqual, oci.OpGreaterThan, oci.OpMaskedEqual,
}

func (a *abi) cond(arg oci.LinuxSeccompArg) cond {
	c := cond{arg: uint32(arg.Index), op: arg.Op, a: arg.Value}
	if arg.Op == oci.OpMaskedEqual {
		c.b = arg.ValueTwo & arg.Value
	}
	if !a.wide {
		c.a, c.b = c.a&math.MaxUint32, c.b&math.MaxUint32
	}
	return c
}

// always is whether a condition is none: a mask without a bit.
func (c cond) always() bool { return c.op == oci.OpMaskedEqual && c.a == 0 }
