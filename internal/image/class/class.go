// Package class gives an error a class, by which a caller decides, without changing the words that a person reads.
package class

// Of returns err with the class of another error, one of errdefs: errors.Is finds both.
func Of(err, class error) error { return classed{err, class} }

type classed struct {
	error
	class error
}

func (c classed) Unwrap() []error { return []error{c.error, c.class} }
