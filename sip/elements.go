package sip

import "iter"

// Elements yields the elements of a header field value that is a list (Route,
// Path, Contact, Via, …): split at commas outside quotes and angle brackets,
// without white space around them. It allocates nothing.
func Elements(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := value; rest != ""; {
			var element string
			element, rest = nextElement(rest)
			if element != "" && !yield(element) {
				return
			}
		}
	}
}
