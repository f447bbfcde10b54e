package sip_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// parse reads a message that must be fine.
func parse(t testing.TB, text string) *sip.Message {
	t.Helper()
	m, err := sip.Parse([]byte(text))
	require.NoError(t, err)
	return m
}
