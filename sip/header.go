package sip

import (
	"encoding/binary"
	"math/bits"
)

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

// word is a header field's name of at most 15 bytes, as two words in lower case.
type word struct {
	lo, hi uint64
	field  field
}

const wordTableSize = 256

// wordTable finds a field by its name as a word: open addressing, nearly always one step. It is never written after its
// initialisation.
var wordTable = makeWordTable()

func makeWordTable() (t [wordTableSize]word) {
	add := func(name string, f field) {
		var b [16]byte
		if copy(b[:], name) == len(b) {
			return
		}
		lo, hi := binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
		w := word{small(lo, min(len(name), 8)), small(hi, max(len(name)-8, 0)), f}
		h := w.hash()
		for t[h].field != other {
			h = (h + 1) % wordTableSize
		}
		t[h] = w
	}
	for f := other + 1; f < fieldCount; f++ {
		add(fields[f].name, f)
		if c := fields[f].compact; c != 0 {
			add(string(rune(c)), f)
		}
	}
	return t
}

func (w *word) hash() uint64 { return (w.lo*0x9e3779b97f4a7c15 ^ w.hi*0xc2b2ae3d27d4eb4f) >> 56 }

// small returns the first n bytes of w, with the bit set that capitals lack. Of the other bytes that gain it only CR becomes one
// that is in names: "-".
func small(w uint64, n int) uint64 { return (w | 0x20*ones) & (1<<(8*n) - 1) }

// mark sets the high bit of each byte of w that is c. The lowest mark is exact; a borrow may have set some above it.
func mark(w uint64, c byte) uint64 {
	w ^= uint64(c) * ones
	return (w - ones) &^ w & high
}

// knownField returns the field whose name b begins with, and the length of the name, if a colon follows at once and the name is
// known and has at most 15 bytes. Otherwise, and where b is shorter than 16 bytes or has an early CR, it returns other.
func knownField(b []byte) (f field, n int) {
	if len(b) < 16 {
		return other, 0
	}
	var w word
	first := binary.LittleEndian.Uint64(b)
	if colon := mark(first, ':'); colon != 0 {
		n = bits.TrailingZeros64(colon) / 8
		w.lo = small(first, n)
	} else {
		second := binary.LittleEndian.Uint64(b[8:])
		if colon = mark(second, ':'); colon == 0 || mark(second, '\r') != 0 {
			return other, 0
		}
		n = bits.TrailingZeros64(colon) / 8
		w.lo, w.hi = small(first, 8), small(second, n)
		n += 8
	}
	if mark(first, '\r') != 0 {
		return other, 0
	}
	for h := w.hash(); ; h = (h + 1) % wordTableSize {
		e := &wordTable[h]
		if e.field == other || e.lo == w.lo && e.hi == w.hi {
			return e.field, n
		}
	}
}
