package sip

// fieldTable finds a field by its long name: open addressing, at most a few steps. compactTable finds it by its compact form.
// Neither is written after its initialisation.
var (
	fieldTable   = makeFieldTable()
	compactTable = makeCompactTable()
)

const fieldTableSize = 512

func makeFieldTable() (t [fieldTableSize]field) {
	for f := other + 1; f < fieldCount; f++ {
		h := fieldHash(fields[f].name)
		for t[h] != other {
			h = (h + 1) % fieldTableSize
		}
		t[h] = f
	}
	return t
}

func makeCompactTable() (t [256]field) {
	for f := other + 1; f < fieldCount; f++ {
		if c := fields[f].compact; c != 0 {
			t[c], t[c-'a'+'A'] = f, f
		}
	}
	return t
}

// fieldHash takes a name of at least two bytes, in any case.
func fieldHash(name string) uint {
	n := len(name)
	return (uint(name[0]|0x20)*7 + uint(name[n-1]|0x20)*37 + uint(name[n/2]|0x20)*83 + uint(n)*149) % fieldTableSize
}

// fieldOf returns the field of a name in its long or compact form, in any case.
func fieldOf(name string) field {
	if len(name) < 2 {
		if name == "" {
			return other
		}
		return compactTable[name[0]]
	}
	for h := fieldHash(name); ; h = (h + 1) % fieldTableSize {
		f := fieldTable[h]
		if f == other || fields[f].name == name || equalFold(fields[f].name, name) {
			return f
		}
	}
}

// CanonicalName returns the long form of a header field name as the registry spells it: "v" becomes "Via", "call-id" becomes
// "Call-ID". A name that is not in the registry is returned as it came.
func CanonicalName(name string) string {
	if f := fieldOf(name); f != other {
		return fields[f].name
	}
	return name
}
