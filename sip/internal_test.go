package sip

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// A Splitter looks at every byte of a head once: whatever it has been shown it does not look at again, but for one byte.
func TestSplitterIsLinear(t *testing.T) {
	text := "OPTIONS sip:a SIP/2.0\r\n" + strings.Repeat("Subject: \r\n "+strings.Repeat("x", 100)+"\r\n", 300) + "Content-Length: 0\r\n\r\n"
	var p Parser
	s := p.NewSplitter()
	for i := 1; i < len(text); i++ {
		_, size, err := s.Split([]byte(text[:i]))
		require.NoError(t, err)
		require.Zero(t, size)
		if s.at != i && !(i == 1 && s.at == 0) {
			require.Equal(t, i, s.at)
		}
	}
	_, size, err := s.Split([]byte(text))
	require.NoError(t, err)
	require.Equal(t, len(text), size)
}

// The fields that must not stand twice fit the scanner's set.
func TestSingleFields(t *testing.T) {
	require.Less(t, int(firstList), 64)
	for f := other + 1; f < fieldCount; f++ {
		require.NotEmpty(t, fields[f].name)
		require.False(t, f.isSingle() && fields[f].list, fields[f].name)
		require.Equal(t, f, fieldOf(fields[f].name))
		if c := fields[f].compact; c != 0 {
			require.Equal(t, f, fieldOf(string(rune(c))))
		}
	}
}

// knownField, which is made for speed, knows what fieldOf knows: for every name, with each of its bytes replaced by every other.
func TestKnownField(t *testing.T) {
	names := []string{"X", "Z", "X-Foo", ""}
	for f := other + 1; f < fieldCount; f++ {
		names = append(names, fields[f].name, strings.ToLower(fields[f].name), strings.ToUpper(fields[f].name))
		if c := fields[f].compact; c != 0 {
			names = append(names, string(rune(c)))
		}
	}
	known := 0
	for _, name := range names {
		for at := range len(name) {
			for c := range 256 {
				b := []byte(name + ": some value that is long enough\r\n")
				b[at] = byte(c)
				if c == ':' {
					continue
				}
				f, n := knownField(b)
				if f == other {
					continue
				}
				known++
				require.Equal(t, len(name), n)
				require.Equal(t, fieldOf(string(b[:n])), f, "%q", b[:n])
			}
		}
		if f, _ := knownField([]byte(name + ":\t0123456789abcdef")); len(name) < 16 {
			require.Equal(t, fieldOf(name), f, name)
		}
	}
	require.NotZero(t, known)
	for i := range 16 {
		f, _ := knownField([]byte("Content-Length: 0")[:i])
		require.Equal(t, other, f)
	}
}

// A message of a call, with its index, takes one block of this size beside its text.
func TestMessageSize(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(line{}), uintptr(8))
	require.LessOrEqual(t, unsafe.Sizeof(message14{}), uintptr(320))
	require.LessOrEqual(t, unsafe.Sizeof(message20{}), uintptr(384))
	require.LessOrEqual(t, unsafe.Sizeof(message32{}), uintptr(480))
}

// nextControl against the definition.
func TestNextControl(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			b := []byte(strings.Repeat("\x80\x20\x7e\xff", 6))
			b[at] = byte(c)
			want := len(b)
			if c < 0x20 || c == 0x7f {
				want = at
			}
			require.Equal(t, want, nextControl(b, 0))
			require.Equal(t, want, nextControl(b, at))
			require.Equal(t, len(b), nextControl(b, at+1))
		}
	}
}
